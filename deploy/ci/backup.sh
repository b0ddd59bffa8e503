#!/bin/sh
# For any CI system: one proved, encrypted archive of the runner's memory. See docs/deploy.md.
#   ECM_EXPORT_PASSWORD   the password, from the CI system's secrets
#   ECM_STORE             the memory (default: the one in ~/.ecm or ~/.causantic)
#   ECM_ARCHIVE           the archive to make (default: memory.ecm)
set -eu

# A secret that is not handed to this job (a pull request from a fork) arrives empty, not missing.
: "${ECM_EXPORT_PASSWORD:?is not set: the CI system did not hand the secret to this job}"
archive=${ECM_ARCHIVE:-memory.ecm}
case $archive in */*) ;; *) archive=./$archive ;; esac
if [ -n "${ECM_STORE:-}" ]; then export ECM_AGENT_STORE__PATH="$ECM_STORE"; fi

ecm-agent export --output "$archive"
ecm-agent verify "$archive"
