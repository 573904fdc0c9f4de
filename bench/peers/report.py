"""Tables and plots of what compare.py measured."""

import math

RECALLS = [0.9, 0.95, 0.99]


def qps_at(curve, recall, key="cpuQps"):
    """Most queries per second at `recall` or better, between measured points interpolated (log QPS over recall); None
    where the curve does not get there."""
    points = sorted((point["recall"], point[key]) for point in curve if "recall" in point)
    best = max((qps for reached, qps in points if reached >= recall), default=None)
    for (low, fast), (high, slow) in zip(points, points[1:]):
        if low < recall <= high and fast > slow:
            share = (recall - low) / (high - low)
            best = max(best or 0, math.exp(math.log(fast) + share * (math.log(slow) - math.log(fast))))
    return best


def ratios(run, k):
    """recall -> (Elanus's best, best peer, its name, ratio) where both reach it."""
    found = {}
    for recall in RECALLS if run["group"] not in ("flat", "flat-batch") else [0.999]:
        ours, theirs = [], []
        for system in run["systems"]:
            qps = qps_at(system["curves"][str(k)], recall)
            if qps:
                (ours if system["name"].startswith("elanus") else theirs).append((qps, system["name"]))
        if ours and theirs:
            found[recall] = (max(ours), max(theirs), max(ours)[0] / max(theirs)[0])
    return found


def print_run(run):
    print(f"\n{run['group']} on {run['data']}: {run['rows']} x {run['dim']}")
    for k in next((list(system["curves"]) for system in run["systems"]), []):
        print(f"\n  top {k}: queries per second of processor time (by the clock) at recall")
        wanted = RECALLS if not run["group"].startswith("flat") else [0.999]
        heads = "".join(f"{recall:>20}" for recall in wanted)
        print(f"  {'':24}{heads}   bytes/vector (mapped)   build s (processor s)")
        for system in run["systems"]:
            curve = system["curves"][k]
            cells = "".join(f"{cell(curve, recall):>20}" for recall in wanted)
            build = system["build"]
            own, mapped = (build[key] / run["rows"] for key in ("anonymous", "mapped"))
            times = f"{build['seconds']:.1f} ({build['cpuSeconds']:.1f})"
            print(f"  {system['name']:24}{cells}   {own:>12.0f} ({mapped:.0f})   {times:>20}")
        for recall, ((ours, own_name), (theirs, peer), ratio) in ratios(run, k).items():
            print(f"  at {recall}: {own_name} {ours:.0f} / {peer} {theirs:.0f} = {ratio:.2f}")
    for name, why in run["refused"].items():
        print(f"  {name}: not measured: {why}")
    if "limits" in run:
        print_limits(run)


def cell(curve, recall):
    cpu, wall = qps_at(curve, recall), qps_at(curve, recall, "qps")
    return f"{cpu:,.0f} ({wall:,.0f})" if cpu else "-"


def print_limits(run):
    """Brute force against what one processor of the machine can do."""
    for system in run["systems"]:
        qps = qps_at(next(iter(system["curves"].values())), 0.99)
        if not qps:
            continue
        if run["group"] == "flat":
            share = qps * run["rows"] * run["dim"] * 4 / run["limits"]["bytesPerSecond"]
            limit = f"memory bandwidth ({run['limits']['bytesPerSecond'] / 1e9:.1f} GB/s)"
        else:
            share = qps * run["rows"] * run["dim"] * 2 / run["limits"]["operationsPerSecond"]
            limit = f"f32 arithmetic ({run['limits']['operationsPerSecond'] / 1e9:.0f} GFLOP/s)"
        print(f"  {system['name']}: {100 * share:.0f} % of the {limit}")


def plot(result, path):
    """One panel per run and k: queries per second over recall."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "elanus"
    from matplotlib import pyplot

    panels = [(run, k) for run in result["runs"] for k in next((s["curves"] for s in run["systems"]), {})]
    columns = min(2, len(panels))
    if not columns:
        return
    lines = math.ceil(len(panels) / columns)
    figure, axes = pyplot.subplots(lines, columns, figsize=(7 * columns, 4.5 * lines), squeeze=False)
    for (run, k), axis in zip(panels, axes.flat):
        for system in run["systems"]:
            points = sorted((p["recall"], p["cpuQps"]) for p in system["curves"][k] if p.get("recall", 0) >= 0.5)
            ours = system["name"].startswith("elanus")
            style = {"linewidth": 2.5, "marker": "o"} if ours else {"linewidth": 1, "marker": "."}
            axis.plot(*zip(*points), label=system["name"], **style) if points else None
        axis.set(title=f"{run['group']}, {run['data']}, top {k}", xlabel=f"recall@{k}")
        axis.set(ylabel="queries/s", yscale="log")
        axis.grid(True, which="both", alpha=0.3)
        axis.legend(fontsize=7)
    figure.tight_layout()
    figure.savefig(path)
    pyplot.close(figure)
