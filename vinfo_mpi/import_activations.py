r"""Make a run of activations that another program has extracted.

Layers in forward order, each an array (N, d), (N, P, d) or (N, C, H, W), the same images in the
same order: .npy, .npz, .safetensors, .h5, .zarr, as path or path:name.

mpirun -n 8 python -m vinfo_mpi.import_activations runs/mine \
    --layer block1=block1.npy --layer block2=all.h5:block2 --labels labels.npy --logits logits.npy
"""

from vinfo_mpi.cli import command, import_activations

if __name__ == "__main__":
    options = import_activations.parse(__doc__)
    command.run_made("extract", options.run, lambda: import_activations.write(options))
