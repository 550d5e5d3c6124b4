#!/usr/bin/env bash
# Music that anyone may download: the soundtracks of free games, from Debian's packages (some 20 h, 0.9 GB).
# Their licences (GPL-2, GPL-3, CC BY, CC BY-SA) are in usr/share/doc/*/copyright of each.
#   bash training/audio.sh FOLDER
set -euo pipefail
mkdir -p "$1/packages" "$1/music"
cd "$1"
(cd packages && apt-get download \
    colobot-common-sounds drascula-music marsshooter-data nexuiz-music planetblupi-music-ogg singularity-music \
    ufoai-music warzone2100-music wesnoth-1.16-music)
for package in packages/*.deb; do
    dpkg-deb --extract "$package" "music/$(basename "$package" | cut -d_ -f1)"
done
# Quake's archives are zip files
find music -name '*.pk3' -print0 | while IFS= read -r -d '' archive; do
    python3 -m zipfile -e "$archive" "$(dirname "$archive")"
    rm "$archive"
done
