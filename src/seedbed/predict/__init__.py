"""Room 5. A table of small runs comes in, Forecasts go out.

In          runs: params, tokens, loss (a row a run)
Out         a fitted law with intervals; forecasts, refused outside the law's domain
Invariants  units do not matter; a law reports how well its data identify it; a forecast carries its interval
Add one     one file in laws/, one fidelity test in tests/predict/
"""
