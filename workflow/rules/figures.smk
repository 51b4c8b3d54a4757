# Figures, a rule for each entry of FIGURES in a module of patchsep.figures, in the order of the
# report. A figure's inputs are its data, its params the style and what it shows: nothing else can
# change it but the code of its own module.
from patchsep.figures.registry import figure_path, figure_shows, module_of

FIGURE_STYLE = {key: SETTINGS["figures"][key] for key in ("font_size", "resolution")}


for name, figure in figures_of(PLAN).items():
    shown = figure_shows(PLAN, name)
    path = figure_path(name)

    rule:
        name:
            f"fig_{name}"
        input:
            **figure.inputs(PLAN, shown),
        output:
            pdf=f"{RESULTS}/figures/{path}.pdf",
            png=report(
                f"{RESULTS}/figures/{path}.png",
                caption=f"../report/{name}.rst",
                category=figure.section,
                labels={"figure": " ".join(Path(path).parts).replace("_", " ")},
            ),
            data=f"{RESULTS}/figures/{path}.{figure.suffix}",
        log:
            f"{LOGS}/fig_{path}.log",
        localrule: True
        conda:
            "../../envs/environment.yaml"
        params:
            shows=shown,
            figure=name,
            module=module_of(name),
            style=FIGURE_STYLE,
            code=[
                code("draw_figure"),
                code_fingerprint(
                    f"{PACKAGE_HOME}/patchsep/figures/{module_of(name)}.py",
                    f"{PACKAGE_HOME}/patchsep",
                ),
            ],
        message:
            "Drawing {output.png}"
        script:
            "../../scripts/draw_figure.py"
