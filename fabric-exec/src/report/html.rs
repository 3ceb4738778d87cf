//! A report as one HTML page that needs nothing else.

use std::fmt::Write as _;

use fabric_core::HostStatus;

use super::{HostResult, Report};

const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:70rem;padding:0 1rem}\
table{border-collapse:collapse;width:100%}td,th{text-align:left;padding:.3rem .6rem;border-bottom:1px solid #8884;\
vertical-align:top}pre{margin:0;white-space:pre-wrap}.ok{color:#187a2f}.failed,.timed_out,.unreachable,.rolled_back{color:#b3261e}\
.skipped{color:#777}@media(prefers-color-scheme:dark){body{background:#111;color:#ddd}.ok{color:#6c6}\
.failed,.timed_out,.unreachable,.rolled_back{color:#f77}}";

impl Report {
    /// The report as an HTML page.
    pub fn to_html(&self) -> String {
        let (ok, failed, skipped) = self.counts();
        let mut page = String::from("<!doctype html><html lang=\"en\"><meta charset=\"utf-8\">");
        _ = write!(page, "<title>fab {}</title><style>{STYLE}</style>", escape(&self.run));
        _ = write!(
            page,
            "<h1>fab {}</h1><p>{}, {:.1} s: {ok} ok, {failed} failed, {skipped} skipped</p>",
            escape(&self.run),
            self.started,
            self.duration.as_secs_f64(),
        );
        if let Some(error) = &self.error {
            _ = write!(page, "<pre class=\"failed\">{}</pre>", escape(error));
        }
        for task in &self.shown().tasks {
            _ = write!(page, "<h2>{}</h2><p>{}</p><table>", escape(&task.task), escape(&task.strategy));
            page.push_str("<tr><th>host<th>status<th>seconds<th>tries<th>error</tr>");
            for result in &task.results {
                let host = result.host.as_deref().unwrap_or("(local)");
                let tolerated = match (result.tolerated, task.superseded) {
                    (_, true) => " (tried again)",
                    (true, false) => " (allowed)",
                    (false, false) => "",
                };
                _ = write!(
                    page,
                    "<tr><td>{}<td class=\"{status}\">{status}{tolerated}<td>{:.1}<td>{}<td><pre>{}</pre></tr>",
                    escape(host),
                    result.duration.as_secs_f64(),
                    result.attempts,
                    escape(result.error.as_deref().unwrap_or_default()),
                    status = HostStatus::as_str(result.status),
                );
                commands(&mut page, result);
            }
            page.push_str("</table>");
        }
        page.push_str("</html>\n");
        page
    }
}

/// What ran, folded, below the row of its host.
fn commands(page: &mut String, result: &HostResult) {
    if result.commands.is_empty() {
        return;
    }
    _ = write!(page, "<tr><td colspan=\"5\"><details><summary>{} commands</summary>", result.commands.len());
    if result.commands_left_out > 0 {
        _ = write!(page, "<p>[{} commands cut]</p>", result.commands_left_out);
    }
    for command in &result.commands {
        let status = match command.ok {
            Some(false) => " class=\"failed\"",
            _ => "",
        };
        _ = write!(page, "<p{status}><code>{}</code></p>", escape(&command.title()));
        let stdout = command.cut() + &command.stdout;
        for (class, text) in [("", &stdout), (" class=\"failed\"", &command.stderr)] {
            if !text.is_empty() {
                _ = write!(page, "<pre{class}>{}</pre>", escape(text));
            }
        }
    }
    page.push_str("</details></tr>");
}

fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            c => out.push(c),
        }
    }
    out
}
