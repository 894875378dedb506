"""Whatever becomes of what a layer keeps for backward, gradients are right or refused."""

from __future__ import annotations

import pytest
import torch
from torch.autograd.graph import save_on_cpu, saved_tensors_hooks
from torch.utils.checkpoint import checkpoint

pytestmark = pytest.mark.usefixtures("backend")

every_kind = pytest.mark.parametrize("kind", ["rnn", "lstm", "gru", "gru after"])
LENGTHS = [6, 2, 4]


def assert_close(own, expected):
    torch.testing.assert_close(list(own), list(expected), rtol=1e-10, atol=1e-10)


@every_kind
def test_checkpoint(make, gradients, x, kind):
    layer = make(kind, dropout=0.5)

    def run(*args, **options):
        return checkpoint(layer, *args, use_reentrant=False, **options)

    torch.manual_seed(2)
    expected = gradients(layer, x)
    torch.manual_seed(2)
    assert all(map(torch.equal, gradients(layer, x, run), expected))


@every_kind
def test_moved_away_and_back(make, gradients, x, kind):
    layer = make(kind)
    expected = gradients(layer, x)
    with save_on_cpu():
        assert_close(gradients(layer, x), expected)
    with saved_tensors_hooks(lambda t: t.numpy(force=True).copy(), torch.from_numpy):
        assert_close(gradients(layer, x), expected)


@every_kind
@pytest.mark.parametrize("lengths", [None, LENGTHS])
def test_copies_of_what_was_saved_are_what_counts(make, flat, x, kind, lengths):
    """A copy, or what a checkpoint computes anew, has no version that a change would show in."""
    layer = make(kind)
    parameters = list(layer.parameters())
    expected = torch.autograd.grad(flat(layer(x, lengths=lengths))[0].sum(), [x, *parameters])
    with saved_tensors_hooks(torch.clone, lambda t: t):
        total = flat(layer(x, lengths=lengths))[0].sum()
    with torch.no_grad():
        for parameter in parameters:
            parameter.mul_(2)
    assert_close(torch.autograd.grad(total, [x, *parameters]), expected)


@every_kind
@pytest.mark.parametrize("lengths", [None, LENGTHS])
@pytest.mark.parametrize(("layers", "both"), [(1, False), (2, False), (1, True)])
@pytest.mark.parametrize("recorded", [True, False])
def test_changing_a_result_in_place(make, flat, x, kind, lengths, layers, both, recorded):
    """Right gradients, or torch's error; never wrong ones."""
    layer = make(kind, num_layers=layers, bidirectional=both)
    for n in range(len(flat(layer(x, return_attention=True)))):
        given = [x, *layer.parameters()]
        found = []
        for in_place in (False, True):
            results = flat(layer(x, lengths=lengths, return_attention=True))
            first = sum(t.square().sum() for m, t in enumerate(results) if m != n)
            try:
                with torch.set_grad_enabled(recorded or not in_place):
                    changed = results[n].mul_(2) if in_place else results[n] * 2
                if not recorded and not in_place:  # what a change behind its back leaves
                    changed = results[n]
                    changed = changed + changed.detach()
                total = first + changed.square().sum()
                found.append(torch.autograd.grad(total, given))
            except RuntimeError as error:
                refused = str(error)
        if len(found) == 2:
            assert_close(*found)
        else:
            assert len(found) == 1
            assert "inplace" in refused


@every_kind
@pytest.mark.parametrize("lengths", [None, LENGTHS])
@pytest.mark.parametrize("both", [False, True])
def test_changing_a_result_that_no_backward_needs(make, flat, x, kind, lengths, both):
    layer, given = make(kind, bidirectional=both), x.detach()
    scale = torch.ones(1, dtype=torch.float64, requires_grad=True)
    options = {"lengths": lengths, "return_attention": True}
    with torch.no_grad():
        results = flat(layer(given, **options))
    results += flat(layer.requires_grad_(False)(given, **options))
    for result in results:
        expected = 2 * result
        assert torch.equal(result.mul_(2 * scale), expected)
        assert result.requires_grad


@every_kind
def test_taking_a_result_out_of_the_graph_in_place(make, flat, x, kind):
    for result in flat(make(kind, bidirectional=False)(x, return_attention=True)):
        assert not result.detach_().requires_grad


@every_kind
@pytest.mark.parametrize("changed", ["input", "state", "weight_hh_l1", "weight_ia_l0"])
def test_changing_what_went_in(make, flat, x, kind, changed):
    """Right gradients, or torch's error; never wrong ones."""
    layer = make(kind)
    state = torch.randn(4, len(LENGTHS), 3, dtype=torch.float64)
    hx = (state, state.clone()) if kind == "lstm" else state
    found = []
    for change in (False, True):
        copied = x.detach().clone()
        tensor = {"input": copied, "state": state}.get(changed, getattr(layer, changed, None))
        results = flat(layer(copied, hx))
        if change:
            with torch.no_grad():
                tensor.mul_(2)
        try:
            total = sum(t.square().sum() for t in results)
            found.append(torch.autograd.grad(total, list(layer.parameters())))
        except RuntimeError as error:
            refused = str(error)
    if len(found) == 2:
        assert_close(*found)
    else:
        assert len(found) == 1
        assert "inplace" in refused


def test_changing_the_lengths(make, x):
    layer, lengths = make("gru"), torch.tensor(LENGTHS)
    (expected,) = torch.autograd.grad(layer(x, lengths=lengths)[0].sum(), x)
    total = layer(x, lengths=lengths)[0].sum()
    lengths.fill_(1)
    assert torch.equal(torch.autograd.grad(total, x)[0], expected)
