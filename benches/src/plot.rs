//! The picture: what a host costs at growing numbers of hosts, and how others compare.

use std::fmt::Write as _;

use crate::bars::{SIZES, costs};
use crate::page::amount;
use crate::results::Results;
use crate::works::{Work, number};

const WIDTH: f64 = 900.0;
const FONT: &str = "font-family=\"sans-serif\" font-size=\"12\"";
/// Readable on light and on dark pages.
const INK: &str = "#768390";
const OURS: &str = "#d9480f";
const FLOOR: &str = "#2b8a3e";
const OTHERS: &str = "#4c6ef5";

/// An SVG.
pub(crate) fn draw(results: &Results, works: &[Work]) -> String {
    let mut body = String::new();
    cost_a_host(&mut body, results);
    let height = comparison(&mut body, results, works, 330.0);
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" height=\"{height}\" {FONT} \
         fill=\"{INK}\">\n{body}</svg>\n"
    )
}

fn text(body: &mut String, x: f64, y: f64, anchor: &str, words: &str) {
    let words = words.replace('&', "&amp;").replace('<', "&lt;");
    let _ = writeln!(body, "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{words}</text>");
}

fn line(body: &mut String, from: (f64, f64), to: (f64, f64)) {
    let ((x1, y1), (x2, y2)) = (from, to);
    let _ = writeln!(
        body,
        "<line x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\" stroke=\"{INK}\" stroke-opacity=\"0.35\"/>"
    );
}

/// Processor time a host against the number of hosts.
fn cost_a_host(body: &mut String, results: &Results) {
    let (left, right, top, bottom) = (70.0, WIDTH - 130.0, 40.0, 250.0);
    text(body, 10.0, 20.0, "start", "CPU a host, in milliseconds: `true` on N cheap hosts, 100 at a time");
    let (fab, floor) = (costs(results, "fab"), costs(results, "floor"));
    let most = fab.iter().chain(&floor).map(|(_, all, _)| *all).fold(0.5, f64::max) * 1.1;
    let x = |hosts: usize| left + (right - left) * ((hosts as f64).log10() - 1.0) / 3.0;
    let y = |cost: f64| bottom - (bottom - top) * cost / most;
    for hosts in SIZES {
        line(body, (x(hosts), top), (x(hosts), bottom));
        text(body, x(hosts), bottom + 18.0, "middle", &number(hosts));
    }
    text(body, f64::midpoint(left, right), bottom + 36.0, "middle", "hosts");
    for step in 0..=4 {
        let cost = most * f64::from(step) / 4.0;
        line(body, (left, y(cost)), (right, y(cost)));
        text(body, left - 8.0, y(cost) + 4.0, "end", &format!("{cost:.2}"));
    }
    let curves = [
        ("fab", OURS, "", fab.iter().map(|(hosts, all, _)| (*hosts, *all)).collect::<Vec<_>>()),
        ("fab, from host 2 on", OURS, "5 4", fab.iter().map(|(hosts, _, rest)| (*hosts, *rest)).collect()),
        ("floor", FLOOR, "", floor.iter().map(|(hosts, all, _)| (*hosts, *all)).collect()),
    ];
    // Labels that would lie on one another are moved apart.
    let mut lowest = f64::MAX;
    let mut ends: Vec<(f64, &str, &str)> = Vec::new();
    for (name, colour, dashes, points) in curves {
        let Some((_, last)) = points.last().copied() else { continue };
        let path: Vec<String> =
            points.iter().map(|(hosts, cost)| format!("{:.1},{:.1}", x(*hosts), y(*cost))).collect();
        let _ = writeln!(
            body,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\" stroke-dasharray=\"{dashes}\"/>",
            path.join(" ")
        );
        ends.push((y(last), name, colour));
    }
    ends.sort_by(|one, other| other.0.total_cmp(&one.0));
    for (at, name, colour) in ends {
        let at = at.min(lowest - 15.0);
        lowest = at;
        let _ = writeln!(body, "<text x=\"{:.1}\" y=\"{:.1}\" fill=\"{colour}\">{name}</text>", right + 8.0, at + 4.0);
    }
}

/// The works in which others are compared.
const COMPARED: [&str; 12] = [
    "list",
    "one-sshd",
    "sshd-500",
    "cheap-1000",
    "cheap-5000",
    "many",
    "put",
    "get",
    "put-tree",
    "get-tree",
    "far-put",
    "far-get",
];

/// Wall time of each client as a multiple of `fab`'s, on a logarithmic scale. Returns where it ends.
fn comparison(body: &mut String, results: &Results, works: &[Work], top: f64) -> f64 {
    let (left, right) = (330.0, WIDTH - 40.0);
    text(body, 10.0, top, "start", "wall time as a multiple of fab's (right of 1: slower than fab)");
    let x = |ratio: f64| left + (right - left) * (ratio.clamp(0.25, 256.0).log2() + 2.0) / 10.0;
    let mut rows = Vec::new();
    for work in COMPARED.iter().filter_map(|name| works.iter().find(|work| work.name == *name)) {
        let Some(measured) = results.work(&work.name) else { continue };
        let Some(fab) = measured.entry("fab").and_then(|entry| entry.median(|usage| usage.wall)) else { continue };
        let mut ratios: Vec<(f64, String)> = Vec::new();
        for entry in &measured.clients {
            if let Some(wall) = entry.median(|usage| usage.wall)
                && !matches!(entry.client.as_str(), "fab" | "true")
            {
                ratios.push((wall / fab, entry.client.clone()));
            }
        }
        ratios.sort_by(|one, other| one.0.total_cmp(&other.0));
        rows.push((format!("{} ({} s)", work.title.replace('`', ""), amount(fab)), ratios));
    }
    let bottom = top + 34.0 + 46.0 * rows.len() as f64;
    for power in -2..=8 {
        let ratio = 2_f64.powi(power);
        line(body, (x(ratio), top + 26.0), (x(ratio), bottom));
        text(
            body,
            x(ratio),
            top + 20.0,
            "middle",
            &if ratio < 1.0 { format!("1/{}", 1.0 / ratio) } else { format!("{ratio}") },
        );
    }
    for (index, (title, ratios)) in rows.iter().enumerate() {
        let y = top + 52.0 + 46.0 * index as f64;
        text(body, left - 10.0, y + 4.0, "end", title);
        let _ = writeln!(body, "<circle cx=\"{:.1}\" cy=\"{y:.1}\" r=\"5\" fill=\"{OURS}\"/>", x(1.0));
        // Names go on three levels in turn, so that neighbours stay readable.
        for (place, (ratio, name)) in ratios.iter().enumerate() {
            let colour = if name == "floor" { FLOOR } else { OTHERS };
            let level = [-9.0, 16.0, 26.0][place % 3];
            let _ = writeln!(body, "<circle cx=\"{:.1}\" cy=\"{y:.1}\" r=\"4\" fill=\"{colour}\"/>", x(*ratio));
            let _ = writeln!(
                body,
                "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\" font-size=\"9\" fill=\"{colour}\">{name}</text>",
                x(*ratio),
                y + level
            );
        }
    }
    bottom + 10.0
}
