"""How fast the platform is, as ratios measured interleaved in one run: `python -m benchmarks`; see README.md."""
