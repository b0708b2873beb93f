import small_run
import torch

from vinfo_mpi.networks import architectures


def test_weights_that_are_replaced_are_not_drawn(run, monkeypatch):
    """Networks of checkpoints have their weights, share none, and begin as one that is built."""
    built = []

    def build(*options):
        built.append(architectures_build(*options))
        return built[-1]

    architectures_build = architectures.build
    monkeypatch.setattr(architectures, "build", build)
    subject = small_run.on(run[0]).subject
    checkpoints = small_run.on(run[0]).checkpoints
    networks = [subject.network(checkpoint) for checkpoint in (*checkpoints, checkpoints[-1])]
    assert len(built) == 1
    for network, checkpoint in zip(networks, checkpoints, strict=False):
        stored = checkpoint.content()["state"]
        state = network.state_dict()
        assert state.keys() == stored.keys()
        assert all(torch.equal(values, stored[name]) for name, values in state.items())
        assert not network.training
    networks[-1].fc.weight.data.zero_()
    assert networks[-2].fc.weight.any()
    untrained = subject.network().state_dict()
    first = networks[0].state_dict()
    assert all(torch.equal(values, first[name]) for name, values in untrained.items())
