#!/usr/bin/env bash
# Measures training and prediction on one GPU of NVIDIA, in under five minutes, and writes a table.
#
#     benchmarks/gpu/run.sh PHOTOS [TABLE.md]
#
# PHOTOS holds a folder for each class. PYTHON is one that has the package with the extra `train`, PyTorch for CUDA and,
# for prediction, ONNX Runtime's wheel for GPUs. DEVICE=cpu tries the script itself where there is no GPU.
set -euo pipefail
photos=${1:?usage: benchmarks/gpu/run.sh PHOTOS [TABLE.md]}
table=${2:-gpu.md}
cd "$(dirname "$0")/../.."
PYTHONPATH="$PWD/src:$PWD" exec "${PYTHON:-python3}" -m benchmarks.gpu.measure "$photos" --device "${DEVICE:-cuda}" --table "$table"
