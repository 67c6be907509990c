"""Counters and gauges, and the page Prometheus reads."""

import threading

import pytest

from callwright.telemetry.metrics import Metrics


def test_the_page_shows_every_metric_in_order() -> None:
    metrics = Metrics()
    requests = metrics.counter("http_requests_total", "HTTP requests by status", ("status",))
    live = metrics.gauge("sessions_live", "Sessions on the line")
    requests.add("200")
    requests.add("200", amount=2)
    requests.add("404")
    live.set(2.5)
    assert metrics.exposition() == (
        "# HELP http_requests_total HTTP requests by status\n"
        "# TYPE http_requests_total counter\n"
        'http_requests_total{status="200"} 3\n'
        'http_requests_total{status="404"} 1\n'
        "# HELP sessions_live Sessions on the line\n"
        "# TYPE sessions_live gauge\n"
        "sessions_live 2.5\n"
    )


def test_a_metric_without_labels_begins_at_zero() -> None:
    metrics = Metrics()
    metrics.counter("calls_total", "Calls")
    assert "calls_total 0\n" in metrics.exposition()


def test_label_values_and_help_are_escaped() -> None:
    metrics = Metrics()
    metrics.counter("x_total", "back\\slash\nnew line", ("trunk",)).add('a"b\\c\nd')
    page = metrics.exposition()
    assert "# HELP x_total back\\\\slash\\nnew line\n" in page
    assert 'x_total{trunk="a\\"b\\\\c\\nd"} 1\n' in page


def test_a_gauge_goes_up_and_down_and_can_be_asked() -> None:
    metrics = Metrics()
    told, asked = metrics.gauge("told", "Told"), metrics.gauge("asked", "Asked")
    told.add(3)
    told.add(-1)
    sizes = [4.0, 7.0]
    asked.read_from(lambda: sizes.pop())
    assert told.value() == 2
    assert "asked 7\n" in metrics.exposition()
    assert "asked 4\n" in metrics.exposition()


def test_mistakes_in_the_code_are_refused() -> None:
    metrics = Metrics()
    counter = metrics.counter("a_total", "A", ("trunk",))
    with pytest.raises(ValueError, match="exists already"):
        metrics.gauge("a_total", "again")
    with pytest.raises(ValueError, match="only grows"):
        counter.add("x", amount=-1)
    with pytest.raises(ValueError, match="has the labels"):
        counter.add()
    with pytest.raises(ValueError, match="no name"):
        metrics.counter("Bad-Name", "B")


def test_threads_lose_no_count() -> None:
    metrics = Metrics()
    counter = metrics.counter("n_total", "N")

    def count() -> None:
        for _ in range(2_000):
            counter.add()

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counter.value() == 8_000
