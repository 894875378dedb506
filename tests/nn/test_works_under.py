"""The layers in what torch offers for modules: copies, devices, other parameters, transforms."""

from __future__ import annotations

import copy
import io
import pickle

import pytest
import torch
from torch.func import functional_call
from torch.nn.utils import parametrizations, parametrize, prune

pytestmark = pytest.mark.usefixtures("backend")

every_kind = pytest.mark.parametrize("kind", ["rnn", "lstm", "gru", "gru after"])
LENGTHS = [6, 2, 4]


def assert_close(own, expected, tolerance=1e-12):
    torch.testing.assert_close(own, expected, rtol=0, atol=tolerance)


class TestCopies:
    @every_kind
    def test_copies_compute_the_same(self, make, gradients, x, kind):
        layer = make(kind)
        expected = gradients(layer, x)
        file = io.BytesIO()
        torch.save(layer, file)
        file.seek(0)
        copies = [copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))]
        copies.append(torch.load(file, weights_only=False))
        for other in copies:
            assert all(map(torch.equal, gradients(other, x), expected))
            shared = zip(layer.parameters(), other.parameters(), strict=True)
            assert not any(own.data_ptr() == copied.data_ptr() for own, copied in shared)
            assert repr(other) == repr(layer)

    @every_kind
    def test_a_state_dict_goes_to_any_backend(self, make, gradients, x, kind):
        layer = make(kind)
        expected = gradients(layer, x)
        file = io.BytesIO()
        torch.save(layer.state_dict(), file)
        for backend in ("equations", "scan", "native"):
            file.seek(0)
            other = make(kind, backend=backend)
            other.reset_parameters()
            other.load_state_dict(torch.load(file, weights_only=True))
            assert_close(gradients(other, x), expected, 1e-10)

    @pytest.mark.parametrize(
        ("kind", "own", "other", "message"),
        [
            ("lstm", "sigmoid", None, r"Unexpected key\(s\) .*weight_ia_l0"),
            ("lstm", None, "sigmoid", r"Missing key\(s\) .*weight_ia_l0"),
        ],
    )
    def test_a_state_dict_of_another_gate(self, make, kind, own, other, message):
        with pytest.raises(RuntimeError, match=message):
            make(kind, other).load_state_dict(make(kind, own).state_dict())

    def test_a_state_dict_of_the_other_gru(self, make):
        with pytest.raises(RuntimeError, match=r"Missing key\(s\) .*bias_ih_l0.*bias_hh_l0"):
            make("gru after").load_state_dict(make("gru").state_dict())

    def test_gates_on_other_layers(self, make):
        with pytest.raises(RuntimeError, match=r"Missing key\(s\) .*weight_ia_l1"):
            make("gru").load_state_dict(make("gru", gated_layers=[0]).state_dict())


class TestOtherDevices:
    @every_kind
    def test_on_the_meta_device(self, backend, make, flat, x, kind):
        layer = make(kind).to("meta")
        assert {p.device.type for p in layer.parameters()} == {"meta"}
        if backend != "equations":
            pytest.skip("auto takes the equations there")
        shapes = [t.shape for t in flat(make(kind)(x, lengths=LENGTHS, return_attention=True))]
        own = flat(layer(x.to("meta"), lengths=LENGTHS, return_attention=True))
        assert [t.shape for t in own] == shapes
        empty = layer.to_empty(device="cpu")
        empty.reset_parameters()
        assert empty(x)[0].isfinite().all()

    @every_kind
    def test_the_default_device_is_for_new_tensors_only(self, backend, make, x, kind):
        """As of someone who has called ``torch.set_default_device`` for his own."""
        layer = make(kind)
        expected = layer(x, lengths=LENGTHS)[0]
        with torch.device("meta"):
            assert torch.equal(layer(x, lengths=LENGTHS)[0], expected)


class Twice(torch.nn.Module):
    def forward(self, weight):
        return 2 * weight


class TestOtherParameters:
    @pytest.mark.parametrize("name", ["weight_hh_l0", "weight_ia_l0", "weight_ih_l0"])
    @pytest.mark.parametrize("which", ["weight_norm", "spectral_norm", "orthogonal"])
    def test_parametrizations(self, make, flat, x, which, name):
        """Equal to the computed weight put in by hand; gradients reach what it is computed of."""
        layer, plain = make("gru"), make("gru")
        torch.manual_seed(3)
        getattr(parametrizations, which)(layer, name)
        layer.eval()  # a power iteration would change the weight from one call to the next
        originals = list(layer.parametrizations[name].parameters())
        if which == "weight_norm":  # begins as what it is given
            torch.nn.init.uniform_(originals[0], 1, 2)
        weight = getattr(layer, name)
        assert not torch.equal(weight, getattr(plain, name))
        results = flat(layer(x, lengths=LENGTHS, return_attention=True))
        by_hand = functional_call(
            plain, {name: weight}, (x,), {"lengths": LENGTHS, "return_attention": True}
        )
        totals = [sum(t.square().sum() for t in found) for found in (results, flat(by_hand))]
        for own, expected in zip(results, flat(by_hand), strict=True):
            assert_close(own, expected)
        own, expected = (torch.autograd.grad(total, originals) for total in totals)
        assert all(gradient.any() for gradient in own)
        assert_close(own, expected, 1e-10)

    @pytest.mark.parametrize("name", ["weight_ih_l0", "weight_hh_l1"])
    def test_a_parametrization_is_computed_once_per_call(self, make, x, name):
        """The power iteration of a spectral norm goes one step further every time."""
        calls = []

        class Counted(torch.nn.Module):
            def forward(self, weight):
                calls.append(weight.shape)
                return weight.clone()

        layer = make("gru")
        parametrize.register_parametrization(layer, name, Counted())
        calls.clear()
        layer(x)
        assert len(calls) == 1

    @every_kind
    def test_pruned(self, make, x, kind):
        layer, plain = make(kind), make(kind)
        prune.l1_unstructured(layer, "weight_ha_l0", amount=0.5)
        with torch.no_grad():
            plain.weight_ha_l0.copy_(layer.weight_ha_l0)
        assert torch.equal(layer(x)[0], plain(x)[0])
        layer(x)[0].sum().backward()
        gradient = layer.weight_ha_l0_orig.grad
        assert ((gradient != 0) == (layer.weight_ha_l0_mask != 0)).all()

    @every_kind
    def test_a_replica_has_plain_tensors_for_parameters(self, make, flat, x, kind):
        """As `torch.nn.DataParallel` makes them on several devices."""
        layer = make(kind)
        replica = layer._replicate_for_data_parallel()
        for name, parameter in layer._parameters.items():
            if parameter is None:
                replica._parameters[name] = None
            else:
                setattr(replica, name, parameter.clone())
        layer(x)[0].square().sum().backward()
        expected = [p.grad.clone() for p in layer.parameters()]
        layer.zero_grad()
        replica(x)[0].square().sum().backward()
        assert all(map(torch.equal, [p.grad for p in layer.parameters()], expected))

    @every_kind
    def test_functional_call(self, make, gradients, x, kind):
        layer, other = make(kind), make(kind)
        other.reset_parameters()
        parameters = {name: p.detach() for name, p in layer.named_parameters()}
        own = functional_call(other, parameters, (x,))[0]
        assert torch.equal(own, layer(x)[0])


class TestTransforms:
    """`torch.func`: the equations; the others have a backward pass of their own and refuse."""

    def per_sample(self, layer):
        def loss(parameters, frames):
            return functional_call(layer, parameters, (frames,))[0].square().sum()

        return torch.func.grad(loss)

    def expected(self, layer, x):
        gradients = []
        for n in range(x.shape[1]):
            total = layer(x[:, n])[0].square().sum()
            gradients.append(torch.autograd.grad(total, list(layer.parameters())))
        return [torch.stack(rows) for rows in zip(*gradients, strict=True)]

    @every_kind
    def test_gradients_per_sample(self, backend, make, x, kind):
        layer, x = make(kind), x.detach()
        expected = self.expected(layer, x)
        parameters = {name: p.detach() for name, p in layer.named_parameters()}
        if backend != "equations":
            with pytest.raises(RuntimeError, match=r"functorch|torch\.func"):
                self.per_sample(layer)(parameters, x[:, 0])
            with pytest.raises(RuntimeError, match=r"functorch|torch\.func"):
                torch.func.vmap(lambda frames: layer(frames)[0], 1)(x)
            return
        one_by_one = [self.per_sample(layer)(parameters, x[:, n]) for n in range(x.shape[1])]
        at_once = torch.func.vmap(self.per_sample(layer), (None, 1))(parameters, x)
        for name, true in zip(parameters, expected, strict=True):
            assert_close(torch.stack([own[name] for own in one_by_one]), true)
            assert_close(at_once[name], true)

    def test_lengths_that_are_mapped_over(self, backend, make, x):
        if backend != "equations":
            pytest.skip("the others refuse")
        layer, lengths = make("gru"), torch.tensor([[6, 1, 3], [2, 6, 4]])

        def total(frames, counts):
            return layer(frames, lengths=counts)[0].square().sum()

        x = x.detach()
        own = torch.func.vmap(lambda counts: layer(x, lengths=counts)[0])(lengths)
        assert_close(own, torch.stack([layer(x, lengths=counts)[0] for counts in lengths]))
        at_once = torch.func.vmap(torch.func.grad(total), (None, 0))(x, lengths)
        alone = torch.stack([torch.func.grad(total)(x, counts) for counts in lengths])
        assert_close(at_once, alone)
        lengths[1, 2] = 7
        with pytest.raises(ValueError, match=r"lengths must be 1 to 6, .*; lengths\[1, 2\] is 7"):
            torch.func.vmap(total, (None, 0))(x, lengths)

    def test_models_side_by_side(self, backend, make, x):
        if backend != "equations":
            pytest.skip("the others refuse")
        layers = [make("lstm"), make("lstm").double()]
        layers[1].reset_parameters()
        stacked, _ = torch.func.stack_module_state(layers)
        own = torch.func.vmap(lambda p: functional_call(layers[0], p, (x,))[0])(stacked)
        assert_close(own, torch.stack([layer(x)[0] for layer in layers]))
