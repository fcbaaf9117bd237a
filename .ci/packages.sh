#!/usr/bin/env bash
# Debian packages that the tests need: installed where they are missing and can be.
# Nothing fails here: what stays missing is told, and the tests that need it are skipped.
#
#   packages.sh          all that the tests need
#   packages.sh reader   what the card reader service needs to run
set -euo pipefail

to_build=(gcc libc6-dev python3-dev libpcsclite-dev) # pyscard has no wheel for Linux
to_run=(pcscd libccid libpcsclite1 libnss3-tools)
for_cards=(pcscd libpcsclite1 vsmartcard-vpcd)
for_pages=(chromium libnss3-tools)
for_print=(fonts-noto-cjk fonts-cns11643-sung poppler-utils)
for_proxy=(nginx curl)

missing_of() { # those of the packages that are not installed
  local package status
  for package in "$@"; do
    status=$(dpkg-query --show --showformat='${db:Status-Status}' "$package" \
      2>/dev/null) || status=unknown
    [ "$status" = installed ] || echo "$package"
  done
}

if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
  echo "packages: no apt-get here. Tests with pcscd and vpcd, Chromium, pdftotext or nginx are" \
    "skipped where those are missing; on Linux pip needs gcc and winscard.h for pyscard."
  exit 0
fi

packages=("${to_build[@]}" "${for_cards[@]}" "${for_pages[@]}" "${for_print[@]}"
  "${for_proxy[@]}")
[ "${1:-}" != reader ] || packages=("${to_build[@]}" "${to_run[@]}")
mapfile -t missing < <(missing_of "${packages[@]}")
[ ${#missing[@]} -gt 0 ] || exit 0

if [ "$(id -u)" = 0 ]; then
  export DEBIAN_FRONTEND=noninteractive
  apt-get -qq update || echo "packages: apt-get update failed"
  known=()
  for package in "${missing[@]}"; do
    if apt-cache show "$package" >/dev/null 2>&1; then known+=("$package"); fi
  done
  if [ ${#known[@]} -gt 0 ]; then
    apt-get -qq -o DPkg::Lock::Timeout=120 install -y --no-install-recommends \
      "${known[@]}" || echo "packages: apt-get install failed"
  fi
  mapfile -t missing < <(missing_of "${packages[@]}")
  [ ${#missing[@]} -gt 0 ] || exit 0
fi

without=""
if [ "${1:-}" = reader ]; then
  without=" the card reader service needs them;"
  for_cards=() for_pages=() for_print=() for_proxy=()
fi
[ -z "$(missing_of "${to_build[@]}")" ] || without+=" pip cannot compile pyscard;"
[ -z "$(missing_of "${for_cards[@]}")" ] || without+=" tests with a card are skipped;"
[ -z "$(missing_of "${for_pages[@]}")" ] || without+=" tests in a browser are skipped;"
[ -z "$(missing_of "${for_print[@]}")" ] || without+=" tests of prints are skipped;"
[ -z "$(missing_of "${for_proxy[@]}")" ] || without+=" tests behind nginx are skipped;"
echo "packages: ${missing[*]} missing:$without" \
  "sudo apt-get install --no-install-recommends ${missing[*]}"
