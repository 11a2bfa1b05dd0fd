"""The page that Prometheus reads."""

from lacewing.deploy.serve.measures import Histogram, Measures


def test_buckets_are_cumulative_and_the_last_has_no_bound():
    histogram = Histogram((1, 2.5))
    for value in (0.5, 1, 2, 99):
        histogram.observe(value)
    assert list(histogram.lines("x")) == [
        'x_bucket{le="1"} 2',
        'x_bucket{le="2.5"} 3',
        'x_bucket{le="+Inf"} 4',
        "x_sum 102.500000",
        "x_count 4",
    ]


def test_every_measure_has_its_help_its_type_and_a_value():
    measures = Measures()
    measures.requests["/predict", 200] += 3
    measures.images = 7
    lines = measures.text().splitlines()
    assert 'lacewing_requests_total{path="/predict",status="200"} 3' in lines
    assert "lacewing_images_total 7" in lines
    names = {line.split()[2] for line in lines if line.startswith("# HELP")}
    assert names == {line.split()[2] for line in lines if line.startswith("# TYPE")}
    for name in names:
        assert any(line.startswith(name) for line in lines if not line.startswith("#"))
    assert measures.text().endswith("\n")
