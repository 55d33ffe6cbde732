//! The report as one HTML page with its plots in it: no script, nothing to load.

use std::fmt::Write as _;

use anyhow::{Result, anyhow};
use plotters::{
    prelude::{
        BLACK, BLUE, ChartBuilder, Color, IntoDrawingArea, IntoFont, LineSeries, PathElement, RED,
        SVGBackend, WHITE,
    },
    style::RGBColor,
};

use crate::report::Report;

const SIZE: (u32, u32) = (760, 300);

/// A line of a plot.
struct Curve {
    name: &'static str,
    color: RGBColor,
    points: Vec<(f64, f64)>,
}

/// The page.
pub fn page(report: &Report) -> Result<String> {
    let course = &report.course;
    let pick = |of: fn(&(f64, f64, f64)) -> (f64, f64), from: &[(f64, f64, f64)]| {
        from.iter().map(of).collect::<Vec<_>>()
    };
    let plots = [
        plot(
            "Added delay by percentile",
            "per cent of frames",
            "ms",
            vec![Curve { name: "delay", color: BLUE, points: course.percentiles.clone() }],
        ),
        plot(
            "Added delay in the course of the window",
            "s",
            "ms",
            vec![
                Curve { name: "median", color: BLUE, points: pick(|p| (p.0, p.1), &course.delays) },
                Curve { name: "p99", color: RED, points: pick(|p| (p.0, p.2), &course.delays) },
            ],
        ),
        plot(
            "CPU",
            "s",
            "cores",
            vec![
                Curve { name: "server", color: BLUE, points: pick(|p| (p.0, p.1), &course.cpu) },
                Curve { name: "beside", color: RED, points: pick(|p| (p.0, p.2), &course.cpu) },
            ],
        ),
        plot(
            "Memory of the server",
            "s",
            "MiB",
            vec![Curve {
                name: "resident",
                color: BLUE,
                points: pick(|p| (p.0, p.1), &course.memory),
            }],
        ),
    ];
    let mut html = format!(
        "<!doctype html><html lang=en><meta charset=utf-8><title>{calls} calls</title>\
         <style>body{{font:16px/1.5 system-ui;margin:2em auto;max-width:800px}}\
         pre{{background:#f4f4f4;padding:1em;overflow:auto}}svg{{max-width:100%}}</style>\
         <h1>{calls} calls, {scenario:?}</h1><p>{machine}</p><pre>{table}</pre>",
        calls = report.calls,
        scenario = report.scenario,
        machine = escaped(&report.machine),
        table = escaped(&report.to_table()),
    );
    for drawn in plots {
        html.push_str(&drawn?);
    }
    let _ = write!(html, "<h2>JSON</h2><pre>{}</pre></html>", escaped(&report.to_json()));
    Ok(html)
}

fn plot(title: &str, x: &str, y: &str, curves: Vec<Curve>) -> Result<String> {
    let mut svg = String::new();
    let all = || curves.iter().flat_map(|curve| curve.points.iter().copied());
    let (right, top) =
        all().fold((0.0_f64, 0.0_f64), |most, at| (most.0.max(at.0), most.1.max(at.1)));
    if right <= 0.0 {
        return Ok(svg);
    }
    {
        let area = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        let wrong = |error: &dyn std::fmt::Display| anyhow!("the plot `{title}`: {error}");
        area.fill(&WHITE).map_err(|error| wrong(&error))?;
        let mut chart = ChartBuilder::on(&area)
            .caption(title, ("sans-serif", 18).into_font())
            .margin(10)
            .x_label_area_size(36)
            .y_label_area_size(56)
            .build_cartesian_2d(0.0..right, 0.0..(top * 1.1).max(1e-3))
            .map_err(|error| wrong(&error))?;
        chart
            .configure_mesh()
            .x_desc(x)
            .y_desc(y)
            .light_line_style(WHITE)
            .draw()
            .map_err(|error| wrong(&error))?;
        for Curve { name, color, points } in curves {
            chart
                .draw_series(LineSeries::new(points, color.stroke_width(2)))
                .map_err(|error| wrong(&error))?
                .label(name)
                .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], color));
        }
        chart
            .configure_series_labels()
            .background_style(WHITE.mix(0.8))
            .border_style(BLACK.mix(0.2))
            .draw()
            .map_err(|error| wrong(&error))?;
        area.present().map_err(|error| wrong(&error))?;
    }
    Ok(svg)
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plot_is_drawn_of_its_points_and_none_without() {
        let curve = |points| vec![Curve { name: "c", color: BLUE, points }];
        let drawn = plot("t", "x", "y", curve(vec![(0.0, 1.0), (1.0, 2.0)])).expect("a plot");
        assert!(drawn.starts_with("<svg") && drawn.contains("polyline"), "{drawn}");
        assert_eq!(plot("t", "x", "y", curve(Vec::new())).expect("nothing"), "");
    }
}
