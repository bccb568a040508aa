"""The benchmarks: airspeed velocity's suites stand here, what measures, keeps and shows them in the folders."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
