//! Charts as pages that need nothing else: one drawing, with the document of Vega-Lite beside it.

use plotters::prelude::*;

use super::{Chart, ChartKind};

/// Width of the drawing.
const WIDTH: u32 = 900;

/// Height of a drawing of lines, and what bars need beside themselves.
const HEIGHT: u32 = 480;
const AROUND_BARS: u32 = 110;
const BAR: u32 = 26;

/// Characters of a label, and of the title.
const LABEL: usize = 24;
const TITLE: usize = 90;

/// Colours of series, told apart by people who do not see red and green, too: those of Okabe and Ito, and two greys.
const COLORS: [RGBColor; super::MOST_SERIES] = [
    RGBColor(0, 114, 178),
    RGBColor(230, 159, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(86, 180, 233),
    RGBColor(213, 94, 0),
    RGBColor(240, 228, 66),
    RGBColor(0, 0, 0),
    RGBColor(110, 110, 110),
    RGBColor(180, 180, 180),
];

/// Lines behind the drawing.
const GRID: RGBColor = RGBColor(222, 222, 222);

/// What went wrong in the drawing.
#[derive(Debug, thiserror::Error)]
#[error("the chart can't be drawn: {0}")]
pub struct DrawingError(String);

type Drawn = Result<(), DrawingAreaErrorKind<std::io::Error>>;

/// The page.
pub(super) fn html(chart: &Chart) -> Result<String, DrawingError> {
    let mut svg = String::new();
    let drawn = match chart.kind {
        ChartKind::Bar => bars(chart, &mut svg),
        ChartKind::Line => lines(chart, &mut svg),
    };
    drawn.map_err(|error| DrawingError(error.to_string()))?;
    // The drawing escapes its texts. In the script no sign begins a tag.
    let document = super::vega::document(chart).replace('<', "\\u003c");
    Ok(format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<title>Headwater</title>\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <style>body {{ margin: 2rem auto; max-width: {WIDTH}px; }} svg {{ width: 100%; height: auto; }}</style>\n</head>\n<body>\n{svg}\n\
         <script type=\"application/json\" id=\"vega-lite\">\n{document}\n</script>\n</body>\n</html>\n"
    ))
}

fn bars(chart: &Chart, svg: &mut String) -> Drawn {
    let labels: Vec<String> = chart
        .points
        .iter()
        .map(|point| {
            cut(
                &[Some(&point.label), point.series.as_ref()]
                    .into_iter()
                    .flatten()
                    .cloned()
                    .collect::<Vec<_>>()
                    .join(" / "),
                LABEL,
            )
        })
        .collect();
    let count = u32::try_from(labels.len()).unwrap_or(u32::MAX);
    let root = SVGBackend::with_string(svg, (WIDTH, AROUND_BARS + BAR * count)).into_drawing_area();
    root.fill(&WHITE)?;
    let (low, high) = chart.range();
    // The first row is on top.
    let place = |row: usize| labels.len() - 1 - row;
    let mut area = ChartBuilder::on(&root)
        .caption(cut(&chart.title, TITLE), ("sans-serif", 18))
        .margin(12)
        .x_label_area_size(44)
        .y_label_area_size(190)
        .build_cartesian_2d(low..high, (0..labels.len() - 1).into_segmented())?;
    area.configure_mesh()
        .disable_y_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(GRID)
        .x_desc(cut(&chart.y, LABEL))
        .y_labels(labels.len())
        .y_label_formatter(&|segment| match segment {
            SegmentValue::CenterOf(at) | SegmentValue::Exact(at) if *at < labels.len() => labels[place(*at)].clone(),
            _ => String::new(),
        })
        .x_label_formatter(&|value| number(*value))
        .draw()?;
    area.draw_series(chart.points.iter().enumerate().map(|(row, point)| {
        let at = place(row);
        let above = if at + 1 == labels.len() { SegmentValue::Last } else { SegmentValue::Exact(at + 1) };
        let corners = [(0.0, SegmentValue::Exact(at)), (point.value, above)];
        let mut bar = Rectangle::new(corners, COLORS[0].filled());
        bar.set_margin(4, 4, 0, 0);
        bar
    }))?;
    root.present()
}

fn lines(chart: &Chart, svg: &mut String) -> Drawn {
    let root = SVGBackend::with_string(svg, (WIDTH, HEIGHT)).into_drawing_area();
    root.fill(&WHITE)?;
    let places = || chart.points.iter().filter_map(|point| point.place);
    let (first, last) = (places().fold(f64::INFINITY, f64::min), places().fold(f64::NEG_INFINITY, f64::max));
    let (low, high) = chart.range();
    // The label of the nearest row.
    let label = |at: &f64| {
        let distance = |point: &&super::Point| (point.place.unwrap_or(f64::INFINITY) - at).abs();
        let nearest = chart.points.iter().min_by(|one, other| distance(one).total_cmp(&distance(other)));
        nearest.map_or_else(String::new, |point| cut(&point.label, LABEL))
    };
    let mut area = ChartBuilder::on(&root)
        .caption(cut(&chart.title, TITLE), ("sans-serif", 18))
        .margin(12)
        .x_label_area_size(44)
        .y_label_area_size(80)
        .build_cartesian_2d(first..if first == last { first + 1.0 } else { last }, low..high)?;
    area.configure_mesh()
        .x_desc(cut(&chart.x, LABEL))
        .y_desc(cut(&chart.y, LABEL))
        .x_labels(8)
        .light_line_style(TRANSPARENT)
        .bold_line_style(GRID)
        .x_label_formatter(&label)
        .y_label_formatter(&|value| number(*value))
        .draw()?;
    let mut names: Vec<Option<&str>> = Vec::new();
    for point in &chart.points {
        if !names.contains(&point.series.as_deref()) {
            names.push(point.series.as_deref());
        }
    }
    for (index, name) in names.iter().enumerate() {
        let color = COLORS[index % COLORS.len()];
        let points = chart.points.iter().filter(|point| point.series.as_deref() == *name);
        let points = points.filter_map(|point| Some((point.place?, point.value)));
        let drawn = area.draw_series(LineSeries::new(points, color.stroke_width(2)).point_size(2))?;
        if let Some(name) = name {
            drawn
                .label(cut(name, LABEL))
                .legend(move |(x, y)| PathElement::new([(x, y), (x + 16, y)], color.stroke_width(2)));
        }
    }
    if chart.series.is_some() {
        let legend = SeriesLabelPosition::UpperLeft;
        area.configure_series_labels().position(legend).background_style(WHITE.mix(0.8)).border_style(GRID).draw()?;
    }
    root.present()
}

/// A text that fits. Control characters are blanks: a page may not hold them.
fn cut(text: &str, most: usize) -> String {
    let plain = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    match text.chars().count() > most {
        true => plain.take(most - 1).chain(['…']).collect(),
        false => plain.collect(),
    }
}

/// `1.2M` and the like: a short form for an axis.
fn number(value: f64) -> String {
    let (scaled, unit) = match value.abs() {
        1e9.. => (value / 1e9, "G"),
        1e6..1e9 => (value / 1e6, "M"),
        1e4..1e6 => (value / 1e3, "k"),
        _ => (value, ""),
    };
    let text = format!("{scaled:.2}");
    format!("{}{unit}", text.trim_end_matches('0').trim_end_matches('.'))
}
