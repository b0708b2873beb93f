"""A TopK autoencoder, trained by Overcomplete on the last tap that a run has stored.

python docs/train_sae.py runs/quickstart runs/sae.pt

Then score it beside the run's own dictionary, from the same activations: method.md, section 9.
"""

import argparse
from pathlib import Path

import matplotlib as mpl
import torch

from vinfo_mpi import Results
from vinfo_mpi.numerics.recovery import Dictionary, recovery
from vinfo_mpi.storage.activations import MAP, ActivationReader


def trained(x, features, top_k, epochs, seed):
    """Return an autoencoder of vectors (n, d), float32."""
    if not hasattr(mpl.cm, "get_cmap"):  # Overcomplete 0.3 asks for what Matplotlib has dropped
        mpl.cm.get_cmap = mpl.colormaps.get_cmap
    from overcomplete.sae import TopKSAE, train_sae

    torch.manual_seed(seed)
    model = TopKSAE(x.shape[1], features, top_k=top_k, encoder_module="linear")
    train_sae(
        model,
        torch.utils.data.DataLoader(x, batch_size=512, shuffle=True),
        lambda x, rebuilt, *_: (x - rebuilt).square().sum(1).mean(),
        torch.optim.Adam(model.parameters(), 3e-3),
        nb_epochs=epochs,
        clip_grad=0,
        monitoring=0,
    )
    return model.eval()


@torch.no_grad()
def features_of(model, x):
    """Return atoms and codes of the features that fire."""
    codes = model(x)[1]
    fires = (codes != 0).any(0)
    atoms = model.get_dictionary()[fires]
    return Dictionary(atoms.double().numpy(), codes[:, fires].double().numpy())


def main():
    """Train on all positions of all images, save the model, and say how well it rebuilds them."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("run", type=Path)
    parser.add_argument("file", type=Path)
    parser.add_argument("--features", type=int, default=300)
    parser.add_argument("--top-k", type=int, default=10)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--again", action="store_true", help="compare with the next seed")
    given = parser.parse_args()
    with ActivationReader(given.run / f"{Results(given.run).analysed}.h5") as activations:
        x = torch.as_tensor(activations.read(MAP)).float().flatten(0, 1)
    options = (given.features, given.top_k, given.epochs)
    model = trained(x, *options, given.seed)
    torch.save(model, given.file)
    living = features_of(model, x)
    with torch.no_grad():
        error = (x - model(x)[2]).norm() / x.norm()
    count = len(living.atoms)
    print(f"{len(x)} vectors, relative error {error:.3f}, {count} features fire")
    if given.again:
        other = features_of(trained(x, *options, given.seed + 1), x)
        cosine = recovery(other, living).cosine
        print(f"another seed: {len(other.atoms)} fire, mean matched cosine {cosine.mean():.3f}")


if __name__ == "__main__":
    main()
