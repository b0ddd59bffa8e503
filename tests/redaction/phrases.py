"""What the corpus is made of. Marks: «a path», ⟦a secret⟧, ⟨text that must survive⟩; the rest of a line may go or stay.

Each {a}, {b}, {c} becomes a made-up word that stands nowhere else, {user} the user of the conversation, {home} the home
directory and {project} the project's, both as that user's machine writes them.
"""

from __future__ import annotations

PATHS = {
    "posix": "⟨I looked into⟩ «/home/{user}/{a}/{b}.py» ⟨and found nothing odd.⟩",
    "posix without an ending": "⟨The log is in⟩ «/var/lib/{a}/{b}» ⟨if anybody asks.⟩",
    "posix, one folder in the root": "⟨It is mounted at⟩ «/{a}/{b}.db» ⟨since Monday.⟩",
    "end of a sentence": "⟨Everything happens in⟩ «/srv/{a}/{b}/{c}.ts».",
    "directory with a slash": "⟨Move it under⟩ «/opt/{a}/{b}/», ⟨please.⟩",
    "in brackets": "⟨The parser⟩ («/home/{user}/{a}/{b}.rs») ⟨is the one to blame.⟩",
    "markdown link": "⟨See⟩ [the notes](«/home/{user}/{a}/{b}.md») ⟨for the rest.⟩",
    "in backticks": "⟨Please open⟩ `«/home/{user}/{a}/{b}.toml»` ⟨once more.⟩",
    "in quotes with spaces": '⟨She keeps it in⟩ "«/Users/{user}/My Work/{a} old/{b} final.txt»" ⟨for now.⟩',
    "in apostrophes with spaces": "⟨It is in⟩ '«/home/{user}/The {a} Papers/{b} {c}.pdf»' ⟨as ever.⟩",
    "with escaped spaces": "⟨Then it read⟩ «/Users/{user}/Application\\ Support/{a}\\ {b}/{c}.json» ⟨and stopped.⟩",
    "not in ascii": "⟨The build of⟩ «/home/{user}/编译器{a}/Übung-{b}/größe.c» ⟨took long.⟩",
    "plus, at, hyphen, hash": "⟨Next to⟩ «/home/{user}/{a}+gtk/@{b}/-{c}-/#1.svelte» ⟨lies another.⟩",
    "scoped package": "⟨It resolves to⟩ «/home/{user}/{a}/node_modules/@{b}/core/dist/index.js» ⟨by mistake.⟩",
    "hidden": "⟨The key was in⟩ «/home/{user}/.{a}/.{b}rc» ⟨all along.⟩",
    "home": "⟨I cleaned⟩ «~/{a}/{b}» ⟨yesterday.⟩",
    "home of another": "⟨It was copied to⟩ «~{user}/{a}/{b}.log» ⟨at night.⟩",
    "home variable": "⟨It goes to⟩ «$HOME/{a}/{b}.cfg» ⟨by default.⟩",
    "home variable in braces": "⟨It goes to⟩ «${{HOME}}/{a}/{b}.cfg» ⟨by default.⟩",
    "user profile": "⟨Windows has it in⟩ «%USERPROFILE%\\{a}\\{b}.ini» ⟨instead.⟩",
    "relative, dot": "⟨Run⟩ «./{a}/{b}.sh» ⟨first.⟩",
    "relative, two dots": "⟨It imports⟩ «../../{a}/{b}.ts» ⟨twice.⟩",
    "relative, bare": "⟨Have a look at⟩ «src/{a}/{b}.py» ⟨before lunch.⟩",
    "relative, deep, no ending": "⟨All of⟩ «packages/{a}/{b}/{c}» ⟨is generated.⟩",
    "windows": "⟨It stands in⟩ «C:\\Users\\{user}\\{a}\\{b}.cs» ⟨on that machine.⟩",
    "windows, small drive": "⟨It stands in⟩ «d:\\{a}\\{b}\\{c}» ⟨on that machine.⟩",
    "windows, slashes": "⟨The editor shows⟩ «C:/Users/{user}/{a}/{b}.cpp» ⟨with slashes.⟩",
    "windows, doubled": "⟨In the settings it reads⟩ «C:\\\\Users\\\\{user}\\\\{a}\\\\{b}.json» ⟨instead.⟩",
    "windows with spaces": '⟨The service is⟩ "«C:\\Program Files\\{a} Tools\\{b} {c}.exe»" ⟨there.⟩',
    "unc": "⟨The share⟩ «\\\\{a}\\team\\{b}\\{c}.xlsx» ⟨is slow.⟩",
    "unc, long": "⟨It is named⟩ «\\\\?\\C:\\{a}\\{b}\\{c}.txt» ⟨internally.⟩",
    "wsl": "⟨From Linux it is⟩ «/mnt/c/Users/{user}/{a}/{b}.go» ⟨of course.⟩",
    "git bash": "⟨The shell says⟩ «/c/Users/{user}/{a}/{b}.go» ⟨of course.⟩",
    "percent-encoded": "⟨The editor links⟩ «/home/{user}/my%20{a}/%C3%BC{b}.md» ⟨like so.⟩",
    "file url": "⟨It opened⟩ «file:///home/{user}/{a}/{b}.html» ⟨in the browser.⟩",
    "file url, windows": "⟨It opened⟩ «file:///C:/Users/{user}/{a}%20x/{b}.html» ⟨in the browser.⟩",
    "editor url": "⟨It opened⟩ «vscode://file/home/{user}/{a}/{b}.py:12:4» ⟨by itself.⟩",
    "with a line": "⟨The fault is at⟩ «/home/{user}/{a}/{b}.py:118:7» ⟨or nearby.⟩",
    "with a line, github": "⟨The fault is at⟩ «src/{a}/{b}.py#L12-L40» ⟨or nearby.⟩",
    "search path": "PATH=«/home/{user}/{a}/bin»:«/opt/{b}/sbin»:/usr/bin",
    "windows search path": "Path=«C:\\{a}\\bin»;«D:\\{b}\\{c}\\tools»",
    "compiler flag": "⟨It was built with⟩ -I«/opt/{a}/{b}/include» -L«/opt/{c}/lib64» ⟨and no more.⟩",
    "option": "⟨It was called with⟩ --config=«/etc/{a}/{b}.conf» ⟨at that time.⟩",
    "assignment": 'CACHE_DIR="«/var/cache/{a}/{b}»"',
    "yaml": "  workdir: «/home/{user}/{a}/{b}»",
    "scp": "⟨It was copied with scp to⟩ {user}@falcon:«/srv/{b}/{c}» ⟨by hand.⟩",
    "slug of a project": "⟨The transcripts are in⟩ «~/.claude/projects/-home-{user}-{a}-{b}» ⟨as always.⟩",
    "slug in prose": "⟨Its project is called⟩ «-home-{user}-{a}-{b}» ⟨in the store.⟩",
    "temporary": "⟨There was⟩ «/private/var/folders/{a}/T/{b}.sock» ⟨left over.⟩",
    "container": "⟨It is bound as⟩ -v «/home/{user}/{a}»:«/app/{b}»:ro ⟨in the file.⟩",
    "project with spaces in prose": "⟨We are in⟩ «{project}/{a}/{b}.py» ⟨now.⟩",
}
"""Ways to write a path in prose."""

RESULTS = {
    "ls": "$ ls -la «/home/{user}/{a}»\ntotal 24\ndrwxr-xr-x  3 {user} staff   96 Jan  5 10:38 .\n"
    "-rw-r--r--  1 {user} staff 1411 Jan  5 10:38 main.py",
    "find": "«./{a}/{b}.py»\n«./{a}/{c}»\n«/home/{user}/{a}/{b}/{c}.rs»",
    "prompt": "{user}@falcon:«~/{a}/{b}»$ make test\nok",
    "prompt of zsh": "➜  {user} cd «~/{a}/{b}» && git status",
    "prompt of powershell": "PS «C:\\Users\\{user}\\{a}\\{b}»> dir",
    "prompt of dos": "«C:\\Users\\{user}\\{a}»>type «{b}\\{c}.txt»",
    "git status": "On branch main\nChanges not staged for commit:\n\tmodified:   «src/{a}/{b}.py»\n"
    "\trenamed:    «lib/{a}.rs» -> «lib/{c}/mod.rs»\nUntracked files:\n\t«{b}/{c}/»",
    "git log": "commit 9fceb02d0ae598e95dc970b74767f19372d61af8\nAuthor: {user} <⟦{a}@example.org⟧>\n\n    wording",
    "diff": "diff --git «a/src/{a}/{b}.py» «b/src/{a}/{b}.py»\nindex 1f2e3d..4c5b6a 100644\n--- «a/src/{a}/{b}.py»\n"
    "+++ «b/src/{a}/{b}.py»\n@@ -1,2 +1,2 @@ def {c}():\n-    return 1\n+    return 2",
    "python": 'Traceback (most recent call last):\n  File "«/home/{user}/{a}/{b}.py»", line 42, in <module>\n'
    "    run()\nValueError: no such ledger",
    "javascript": "TypeError: x is undefined\n    at Object.run («/home/{user}/{a}/{b}.js:10:15»)\n"
    "    at async «file:///home/{user}/{a}/{c}.mjs:3:1»",
    "rust": "thread 'main' panicked at «src/{a}/{b}.rs:7:5»:\nerror[E0382]: borrow of moved value\n"
    "  --> «crates/{a}/src/{c}.rs:12:9»\n   |\n12 |     drop(x);",
    "go": "goroutine 1 [running]:\nmain.main()\n\t«/home/{user}/go/src/{a}/{b}.go:12» +0x1d",
    "java": "Caused by: java.io.FileNotFoundException: «/home/{user}/{a}/{b}.properties» (No such file or directory)",
    "gcc": "«/home/{user}/{a}/{b}.c:3:10»: fatal error: {c}.h: No such file or directory",
    "tsc": "«src/{a}/{b}.ts»(10,5): error TS2322: Type 'string' is not assignable to type 'number'.",
    "msvc": "«C:\\Users\\{user}\\{a}\\{b}.cpp»(12,3): error C2065: undeclared identifier",
    "eslint": "«/home/{user}/{a}/{b}.jsx»\n  12:5  error  Unexpected console statement  no-console",
    "pytest": "«tests/{a}/test_{b}.py»::test_it FAILED\nrootdir: «/home/{user}/{a}»\n1 failed in 0.12s",
    "grep": "«src/{a}/{b}.py»:12:import json\n«src/{a}/{c}.py»:40:import json",
    "du": "4.0K\t«/home/{user}/{a}/{b}»\n12M\t«/home/{user}/{a}»",
    "tar": "x «{a}/{b}/»\nx «{a}/{b}/{c}»",
    "ps": "{user}  4242  0.0  0.1 /usr/bin/python3 «/home/{user}/{a}/{b}.py» --verbose",
    "env": "HOME=/home/{user}\nUSER={user}\nLOGNAME={user}\nOLDPWD=«/home/{user}/{a}/{b}»",
    "docker": "Step 4/9 : COPY «./{a}/{b}» «/usr/src/{c}/app»",
    "json": '{{"path": "«/home/{user}/{a}/{b}.json»", "size": 12}}',
    "json of windows": '{{"path": "C:\\\\Users\\\\{user}\\\\{a}\\\\{b}.json", "size": 12}}',
}
"""What tools print."""

SECRETS = {
    "aws": "⟨The deploy used⟩ ⟦{aws}⟧ ⟨for a while.⟩",
    "github": "⟨Somebody pasted⟩ ⟦{github}⟧ ⟨into the chat.⟩",
    "github, fine-grained": "⟨Somebody pasted⟩ ⟦{fine}⟧ ⟨into the chat.⟩",
    "gitlab": "⟨The runner has⟩ ⟦{gitlab}⟧ ⟨as its token.⟩",
    "slack": "⟨The bot posts with⟩ ⟦{slack}⟧ ⟨today.⟩",
    "stripe": "⟨Payments go through⟩ ⟦{stripe}⟧ ⟨in tests.⟩",
    "google": "⟨Maps wants⟩ ⟦{google}⟧ ⟨to load.⟩",
    "npm": "⟨Publishing needs⟩ ⟦{npm}⟧ ⟨these days.⟩",
    "anthropic": "⟨The model answers to⟩ ⟦{anthropic}⟧ ⟨only.⟩",
    "openai": "⟨The model answers to⟩ ⟦{openai}⟧ ⟨only.⟩",
    "jwt": "⟨The session was⟩ ⟦{jwt}⟧ ⟨then.⟩",
    "bearer": "Authorization: Bearer ⟦{opaque}⟧",
    "basic": "Authorization: Basic ⟦{basic}⟧",
    "password in a url": "⟨It connects to⟩ postgres://app:⟦{opaque}⟧@db.example.org:5432/main",
    "assignment": "DB_PASSWORD=⟦{opaque}⟧",
    "assignment in quotes": 'api_key = "⟦{opaque}⟧"',
    "yaml": "  secret_key: ⟦{opaque}⟧",
    "json": '{{"access_token": "⟦{opaque}⟧", "expires": 3600}}',
    "exported": "export SERVICE_TOKEN='⟦{opaque}⟧'",
    "said": "⟨By the way, the⟩ password is ⟦{opaque}⟧",
    "mail": "⟨Write to⟩ ⟦{a}.{b}@example.org⟧ ⟨about it.⟩",
    "mail with a plus": "⟨Write to⟩ ⟦{a}+{b}@mail.example.co.uk⟧ ⟨about it.⟩",
    "private key": "-----BEGIN RSA PRIVATE KEY-----\n⟦{line}⟧\n⟦{line2}⟧\n-----END RSA PRIVATE KEY-----",
    "private key, cut off": "-----BEGIN OPENSSH PRIVATE KEY-----\n⟦{line}⟧\n⟦{line2}⟧",
}
"""Ways to give a secret away."""

BLOCKS = {
    "fence": "```\n{code}\n```",
    "fence with a language": "```python\n{code}\n```",
    "fence with more said": '```ts title="x.ts" {{1,3}}\n{code}\n```',
    "tildes": "~~~\n{code}\n~~~",
    "tildes with a language": "~~~ruby\n{code}\n~~~",
    "longer fence around a shorter": "````md\n{code}\n```\n{code}\n```\n{code}\n````",
    "tildes around backticks": "~~~md\n```\n{code}\n```\n{code}\n~~~",
    "backticks around tildes": "```md\n~~~\n{code}\n~~~\n{code}\n```",
    "closed by a longer one": "```\n{code}\n`````",
    "indented fence": "   ```\n   {code}\n   ```",
    "indented": "\n    {code}\n    {code}\n",
    "indented by a tab": "\n\t{code}\n\t{code}\n",
    "indented, with a gap": "\n    {code}\n\n    {code}\n",
    "in a quote": "> ```\n> {code}\n> {code}\n> ```",
    "in a quote of a quote": "> > ```py\n> > {code}\n> > ```",
    "in a list": "- first:\n\n  ```sh\n  {code}\n  ```\n- second",
    "in a numbered list": "1. first\n   ```\n   {code}\n   ```\n2. second",
    "with windows line ends": "```js\r\n{code}\r\n{code}\r\n```\r",
    "holding a heading": "```\n{code}\n[User]\n{code}\n[Assistant]\n{code}\n```",
    "two in a row": "```\n{code}\n```\n```\n{code}\n```",
    "spaces after the fence": "```   \n{code}\n```   ",
}
"""Ways to hold code in prose, closed."""

UNCLOSED = {
    "unclosed": "```python\n{code}\n{code}",
    "unclosed tildes": "~~~\n{code}\n{code}",
    "unclosed, shorter inside": "````\n{code}\n```\n{code}",
    "unclosed in a quote": "> ```\n> {code}",
    "closed by the wrong sort": "```\n{code}\n~~~\n{code}",
}
"""Ways to begin a block and not to end it."""

INNOCENT = (
    "The stale cache retries the parser before the partial buffer flushes it.",
    "Read and/or write, input/output, yes/no, his/her, client/server: either will do.",
    "About 3/4 of them passed, 1/2 failed, and 24/7 means always.",
    "It happened on 2025-03-01, or 01/03/2025 as some write, or 3/1/25.",
    "We moved from v1.2.3 to 2.0.0-rc.1 and then to 10.4.",
    "That costs $3.50, or €1,200.00, or 5 %.",
    "Call me at 14:30, not 14:30:15.250, and not at 9 a.m.",
    "e.g. this one, i.e. that one, etc. and so on; cf. the other.",
    "std::vector<int> and std::chrono::seconds are C++ names.",
    "It uses List<String> and a.b.c and foo.bar() in Java.",
    "A closing tag is </div> or </p> or <br/>, never </ div>.",
    "The branch is called feature, and its pull request is #4521.",
    "TCP/IP and HTTP/1.1 and HTTP/2 and UTF-8 and ISO-8859-1 are standards.",
    "km/h, m/s, MB/s and req/min are units.",
    "The adapter reads the nomad roadmap of Canada; a bobbin is no admiral.",
    "Use a ratio of 16:9, a score of 3:2, and a scale of 1:1000.",
    "The node is v18 on arm64/amd64, n/a elsewhere.",
    "I said: wait... and then / again / nothing happened.",
    "C++, C#, F#, .NET, Node.js, Vue.js and ASP.NET are names.",
    "Math: x^2 + y^2 = z^2, a/b + c/d, ∑ᵢxᵢ ≤ √n·‖x‖₂.",
    "исправлена ошибка в парсере, и всё работает",
    "缓存已经修好了测试全部通过。",
    "What a day! 🎉 All 195 tests pass now; none is flaky.",
    "The regular expression was greedy, the fix is lazy.",
    "Press Ctrl+C, then Ctrl+Shift+P, then F5.",
    "Exit code 0, signal 9, error 0x80070005, colour #ff8800.",
    "The hash is shown as 9fceb02 in the list.",
    "The answer to `yes` is `no`, said `x += 1`.",
    "Sections 1.2.3 and 4.5 of the RFC 9110 apply.",
    "A key, a token, a password and a secret are different things.",
    "He/she/they may or may not; win/win.",
    "Please reset the password and rotate the token, then tell the team.",
    "Is the ratio of hits/misses better than before/after?",
    "Its type is Option<Result<T, E>> where T: Send + 'static.",
    "We ship on Mon/Wed/Fri in Q1/Q2 of FY25/26.",
)
"""What must survive, line by line, whatever is taken out."""

MARKDOWN = (
    "- a list item of plain words",
    "1. a numbered item of plain words",
    "> a quoted line of plain words",
    "## A heading of plain words",
    "| a table | of plain | words |",
)
"""The same, but an indented block after one of these may be a part of it, and no code."""

HOSTS = (
    ("See https://docs.example.org/guide/start for more.", "https://docs.example.org"),
    ("It is at http://localhost:8080/health by now.", "http://localhost:8080"),
    ("As on https://en.example.com/wiki/Path_(computing)#History they say.", "https://en.example.com"),
    ("Look at <https://example.net> or www.example.com first.", "https://example.net"),
    ("It listens on wss://stream.example.io/v2/feed?x=1&y=2 there.", "wss://stream.example.io"),
)
"""Lines with an address, and the part of it that must survive."""
