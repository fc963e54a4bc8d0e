"""Metrics are written as Prometheus reads them, under TensorFlow Serving's names."""

from __future__ import annotations

from serving.embedded.metrics import Metrics


def test_the_page_has_counts_and_cumulative_buckets() -> None:
    """Dashboards made for TensorFlow Serving would stay empty."""
    metrics = Metrics()
    metrics.requests.add("m", "OK")
    metrics.requests.add("m", "OK")
    metrics.request_latency.observe("m", "predict", "REST", value=15)
    metrics.request_latency.observe("m", "predict", "REST", value=1e12)
    lines = metrics.page().splitlines()
    labels = 'model_name="m",API="predict",entrypoint="REST"'
    assert "# TYPE :tensorflow:serving:request_count counter" in lines
    assert ':tensorflow:serving:request_count{model_name="m",status="OK"} 2' in lines
    assert f':tensorflow:serving:request_latency_bucket{{{labels},le="10"}} 0' in lines
    assert f':tensorflow:serving:request_latency_bucket{{{labels},le="18"}} 1' in lines
    assert f':tensorflow:serving:request_latency_bucket{{{labels},le="+Inf"}} 2' in lines
    assert f":tensorflow:serving:request_latency_count{{{labels}}} 2" in lines


def test_names_come_in_order_and_label_values_are_escaped() -> None:
    """A model named with a quotation mark would break every scrape."""
    metrics = Metrics()
    metrics.requests.add('a"b\\c\nd', "OK")
    page = metrics.page()
    names = [line.split()[2] for line in page.splitlines() if line.startswith("#")]
    assert names == sorted(names)
    assert 'model_name="a\\"b\\\\c\\nd"' in page
