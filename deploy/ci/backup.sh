#!/bin/sh
# For any CI system: one proved, encrypted archive of the runner's memory. See docs/deploy.md.
#   ECM_EXPORT_PASSWORD   the password, from the CI system's secrets
#   ECM_STORE             the memory (default: ~/.ecm/memory.db)
#   ECM_ARCHIVE           the archive to make (default: memory.ecm)
set -eu

# A secret that is not handed to this job (a pull request from a fork) arrives empty, not missing.
: "${ECM_EXPORT_PASSWORD:?is not set: the CI system did not hand the secret to this job}"
archive=${ECM_ARCHIVE:-memory.ecm}
case $archive in */*) ;; *) archive=./$archive ;; esac

ecm-agent export --store "${ECM_STORE:-$HOME/.ecm/memory.db}" --output "$archive"
ecm-agent verify "$archive"
