#!/usr/bin/env bash
# Train the weights that mirbench ships, on the music of audio.sh and on the training groups of rendered-scores.
# Interrupted at any time, it goes on. On two cores some three hours; WORKERS=1 was used, two models at a time.
#   bash training/shipped.sh FOLDER
set -euo pipefail
music="$1/music" weights="$1/weights"
mkdir -p "$weights"
train() {
    local model="$1"
    shift
    mirbench pretrain "$model" --audio "$music" --dataset rendered-scores --out "$weights/$model.safetensors" \
        --license MIT --workers "${WORKERS:-1}" --resume "$@"
}
transformer=(--batch-size 256 --steps 800 -o depth=4 -o frames=24)
chromanet=(--batch-size 32 -o seconds=7.5 -o sharpness=0.05)
train vit1d "${transformer[@]}"
train vit1d-equivariant "${transformer[@]}" -o alone=100
train mt2 "${transformer[@]}" -o alone=100
train stone "${chromanet[@]}" --steps 500 -o alone=100
train skey "${chromanet[@]}" --steps 800 -o alone=100
