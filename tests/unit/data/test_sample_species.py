"""Species, their individuals, and how these are painted."""

import math

import numpy as np
import pytest

from lacewing.data.sample.ground import GROUNDS
from lacewing.data.sample.look import mixed, varied
from lacewing.data.sample.paint import Frame, Layer, Light, paint_insect, paint_part, put
from lacewing.data.sample.patterns import PATTERNS, flanked, veined
from lacewing.data.sample.shapes import Part, both_sides, outline, oval
from lacewing.data.sample.species import PLANS, draw_individual, make_species

ABOVE = Light(np.array((0.0, 0.0, 1.0)), 0.5)
FROM_LEFT = Light(np.array((-0.6, 0.0, 0.8)), 0.5)


def frame(pixels: float = 60.0, at: tuple[float, float] = (50.0, 40.0)) -> Frame:
    return Frame(pixels * np.eye(2), np.array(at))


def empty() -> Layer:
    return Layer(np.zeros((3, 80, 100), np.float32), np.zeros((80, 100), np.float32))


def disc(**fields) -> Part:
    ball = oval(0.3)
    given = {"colour": (0.8, 0.4, 0.2), "gloss": 0.0, **fields}
    return Part(base=(-0.3, 0.0), angle=0.0, length=0.6, left=ball, right=ball, **given)


def test_species_have_names_of_their_own_and_keep_them():
    species = make_species(200)
    assert len({one.name for one in species}) == 200
    assert species == make_species(358)[:200]
    assert [one.name for one in species[:8]] == list(PLANS)


def test_no_made_species_has_plan_and_pattern_of_a_chosen_one():
    species = make_species(358)
    chosen = {(one.plan, one.pattern) for one in species[:8]}
    made = [(one.plan, one.pattern, one.palette) for one in species[8:]]
    assert not chosen & {(plan, pattern) for plan, pattern, _ in made}
    assert len(set(made)) == 350


@pytest.mark.parametrize("species", make_species(8), ids=lambda species: species.name)
def test_every_species_shows_and_casts_no_colour_outside_its_shape(species):
    insect = draw_individual(species, np.random.default_rng(0))
    layer = paint_insect(80, 100, insect, frame(), FROM_LEFT)
    assert 0.03 < layer.opacity.mean() < 0.7
    assert layer.opacity.min() >= 0 and layer.opacity.max() <= 1.0 + 1e-6
    assert layer.colour[:, layer.opacity == 0].max() == 0
    assert layer.colour.dtype == layer.opacity.dtype == np.float32


def test_individuals_of_a_species_differ():
    species = make_species(8)[1]
    one, other = (draw_individual(species, np.random.default_rng(seed)) for seed in (0, 1))
    assert one.parts[-1].colour != other.parts[-1].colour
    assert one.strokes != other.strokes


def test_a_disc_covers_its_area_and_nothing_else():
    layer = empty()
    paint_part(layer, disc(), frame(), ABOVE)
    assert layer.opacity.sum() == pytest.approx(math.pi * 18**2, rel=0.02)
    assert layer.opacity[40, 50] == 1 and layer.opacity[40, 71] == 0


def test_the_side_towards_the_light_is_brighter():
    layer = empty()
    paint_part(layer, disc(), frame(), FROM_LEFT)
    assert layer.colour[0, 40, 38] > 1.2 * layer.colour[0, 40, 62]


def test_a_flat_part_is_lit_evenly():
    layer = empty()
    paint_part(layer, disc(relief=0.0), frame(), FROM_LEFT)
    inside = layer.colour[0][layer.opacity == 1]
    assert np.ptp(inside) < 1e-5


def test_a_part_outside_the_picture_paints_nothing():
    layer = empty()
    paint_part(layer, disc(), frame(at=(300.0, 40.0)), ABOVE)
    assert layer.opacity.max() == 0


def test_rings_grooves_and_a_suture_darken():
    plain = empty()
    paint_part(plain, disc(), frame(), ABOVE)
    for fields in ({"rings": 4.0}, {"grooves": 3.0}, {"suture": True}):
        carved = empty()
        paint_part(carved, disc(**fields), frame(), ABOVE)
        assert (carved.colour <= plain.colour + 1e-6).all()
        assert carved.colour.sum() < 0.98 * plain.colour.sum()


def test_both_sides_are_mirror_images():
    wing = Part(
        base=(0.1, 0.05), angle=2.0, length=0.5, left=outline((0, 0.02), (0.7, 0.2), (1, 0)),
        right=outline((0, 0.02), (1, 0)), colour=(0.5, 0.5, 0.5),
    )  # fmt: skip
    layers = [empty(), empty()]
    for layer, part in zip(layers, both_sides(wing), strict=True):
        paint_part(layer, part, frame(at=(50.0, 39.5)), ABOVE)
    assert layers[0].opacity.sum() > 100
    np.testing.assert_allclose(layers[1].opacity, layers[0].opacity[::-1], atol=1e-3)


def test_the_shadow_falls_away_from_the_light():
    layer = empty()
    paint_part(layer, disc(), frame(), FROM_LEFT)
    scene = put(np.ones((3, 80, 100), np.float32), layer, FROM_LEFT, 10.0)
    assert scene[0, 40, 74] < 0.85 < scene[0, 40, 26]
    assert scene[0, 5, 5] == 1


@pytest.mark.parametrize("name", PATTERNS)
def test_patterns_are_shares_and_alike_on_both_sides(name):
    t, q = np.meshgrid(np.linspace(0, 1, 40), np.linspace(-1, 1, 41), indexing="ij")
    pattern = PATTERNS[name](np.random.default_rng(3))
    weight = pattern(t.astype(np.float32), q.astype(np.float32))
    assert weight.shape == t.shape and weight.min() >= 0 and weight.max() <= 1
    np.testing.assert_allclose(weight, weight[:, ::-1], atol=1e-5)
    assert (weight.max() > 0.5) == (name != "plain")


def test_veins_and_flanks_show_in_places():
    t, q = np.meshgrid(np.linspace(0, 1, 60), np.linspace(-1, 1, 61), indexing="ij")
    assert 0.1 < veined(t, q).mean() < 0.6
    flanks = flanked(t, q)
    assert flanks[:, 0].min() == 1 and flanks[:, 30].max() == 0


@pytest.mark.parametrize("ground", [kind for kind, _ in GROUNDS], ids=lambda kind: kind.__name__)
def test_a_ground_fills_the_picture_and_is_not_plain(ground):
    scene = ground(np.random.default_rng(5), 60, 90)
    assert scene.shape == (3, 60, 90) and scene.dtype == np.float32
    assert np.isfinite(scene).all() and 0.05 < scene.mean() < 1 and scene.std() > 0.01


def test_the_grounds_share_all_photos():
    assert sum(share for _, share in GROUNDS) == pytest.approx(1)


def test_an_oval_is_widest_where_asked():
    side = oval(0.3, widest=0.25)
    assert side.max() == pytest.approx(0.3, rel=1e-3)
    assert abs(int(side.argmax()) / 255 - 0.25) < 0.01
    assert side[0] == side[-1] == 0


def test_colours_mix_and_vary_within_bounds():
    assert mixed((0.0, 0.5, 1.0), (1.0, 0.5, 0.0), 0.25) == (0.25, 0.5, 0.75)
    varieties = [varied(np.random.default_rng(seed), (0.5, 0.5, 0.5), 0.2) for seed in range(50)]
    assert 0.5 * 0.8 * 0.93 < np.min(varieties) < np.max(varieties) < 0.5 * 1.2 * 1.07
