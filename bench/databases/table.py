"""The table and the plot of what compare.py measured, and ratios of Elanus's two forms to the best other database."""

HEADS = {
    "load rows/s": lambda d: d["load"]["rowsPerSecond"],
    "index s": lambda d: d["index"]["seconds"],
    **{
        f"{recall} x{clients}": lambda d, r=recall, c=clients: d["search"][r]["clients"][c]["perSecond"]
        for recall in ["0.95", "0.99"]
        for clients in ["1", "8", "32"]
    },
    "filter 10 %": lambda d: d["filtered"]["10 %"]["perSecond"],
    "recall": lambda d: d["filtered"]["10 %"]["recall"],
    "filter 1 %": lambda d: d["filtered"]["1 %"]["perSecond"],
    "recall ": lambda d: d["filtered"]["1 %"]["recall"],
    "mixed reads/s": lambda d: d["mixed"]["perSecond"],
    "writes/s": lambda d: d["mixed"]["writtenPerSecond"],
    "anon MiB": lambda d: d["memory"]["anonymous"] / 2**20,
    "resident MiB": lambda d: d["memory"]["resident"] / 2**20,
    "disk MiB": lambda d: d["disk"] / 2**20,
    "ready s": lambda d: d["ready"]["seconds"],
}
OURS = ["elanus", "elanus-embedded"]
LESS_IS_BETTER = ["index s", "anon MiB", "resident MiB", "disk MiB", "ready s"]


def value(head, database):
    """None where the database did not get so far."""
    try:
        return HEADS[head](database)
    except KeyError:
        return None


def print_table(result):
    names = list(result["databases"])
    print(f"\n{result['data']}: {result['rows']} x {result['dim']}, top 10\n")
    ours = [name for name in names if name in OURS]
    ratios = "|".join(f"{name} to the best other" for name in ours)
    print(f"| |{'|'.join(names)}|{ratios}|\n|---|{'---|' * (len(names) + len(ours))}")
    for head in HEADS:
        cells = [shown(value(head, result["databases"][name])) for name in names]
        print(f"|{'|'.join([head, *cells, *(ratio(head, result, name) for name in ours)])}|")
    for name, why in result["refused"].items():
        print(f"\n{name}: not measured: {why}")


def shown(cell):
    return "-" if cell is None else f"{cell:,.0f}" if cell >= 100 else f"{cell:.3g}"


def ratio(head, result, name):
    """More than 1: this form of Elanus is better than every other database, whichever way better is."""
    ours = value(head, result["databases"][name])
    others = [value(head, database) for other, database in result["databases"].items() if other not in OURS]
    others = [other for other in others if other]
    if not ours or not others:
        return "-"
    return f"{min(others) / ours:.2f}" if head in LESS_IS_BETTER else f"{ours / max(others):.2f}"


def plot(result, path):
    """Bars of searches per second by database and number of clients, a panel for each recall."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "elanus"
    from matplotlib import pyplot

    names = list(result["databases"])
    figure, axes = pyplot.subplots(1, 2, figsize=(14, 4.5), sharey=True)
    for axis, recall in zip(axes, ["0.95", "0.99"]):
        for i, clients in enumerate(["1", "8", "32"]):
            heights = [value(f"{recall} x{clients}", result["databases"][name]) or 0 for name in names]
            axis.bar([at + 0.27 * i for at in range(len(names))], heights, 0.25, label=f"{clients} clients")
        axis.set_xticks([at + 0.27 for at in range(len(names))], names, rotation=20)
        axis.set(title=f"recall@10 of {recall} or better", ylabel="searches/s")
        axis.legend()
    figure.tight_layout()
    figure.savefig(path)
    pyplot.close(figure)
