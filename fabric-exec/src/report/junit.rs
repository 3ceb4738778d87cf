//! A report as JUnit XML: a suite for each task, a case for each host.

use fabric_core::HostStatus;
use quick_junit::{NonSuccessKind, TestCase, TestCaseStatus, TestSuite};

use super::{HostResult, Report};

impl Report {
    /// The report as JUnit XML, as CI systems read it.
    ///
    /// Each task is a suite and each host a case of it. A host that failed is a failure, one that timed out
    /// or could not be reached an error, one that was never started skipped.
    pub fn to_junit(&self) -> String {
        let mut report = quick_junit::Report::new(format!("fab {}", self.run));
        report.set_time(self.duration);
        for task in &self.shown().tasks {
            let mut suite = TestSuite::new(task.task.as_str());
            suite.set_time(task.duration);
            for result in &task.results {
                let name = result.host.as_deref().unwrap_or("<local-only>");
                let mut case = TestCase::new(name, status(result, task.superseded));
                case.set_classname(task.task.as_str());
                case.set_time(result.duration);
                if !result.commands.is_empty() {
                    let (out, err) = output(result);
                    case.set_system_out(out);
                    case.set_system_err(err);
                }
                suite.add_test_case(case);
            }
            report.add_test_suite(suite);
        }
        if let Some(error) = &self.error {
            let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
            status.set_message(error.as_str());
            let mut suite = TestSuite::new("fab");
            suite.add_test_case(TestCase::new("usage", status));
            report.add_test_suite(suite);
        }
        report.to_string().unwrap_or_default()
    }
}

/// Commands with their standard output, and their standard error.
fn output(result: &HostResult) -> (String, String) {
    let (mut out, mut err) = (String::new(), String::new());
    if result.commands_left_out > 0 {
        out = format!("[{} commands cut]\n", result.commands_left_out);
    }
    for command in &result.commands {
        out.extend([&command.title(), "\n", &command.cut(), &command.stdout]);
        if !out.ends_with('\n') {
            out.push('\n');
        }
        err.push_str(&command.stderr);
    }
    (out, err)
}

fn status(result: &HostResult, superseded: bool) -> TestCaseStatus {
    if superseded && result.status.is_failure() {
        let mut status = TestCaseStatus::skipped();
        status.set_message("failed, and was tried again");
        return status;
    }
    let kind = match result.status {
        HostStatus::Ok => return TestCaseStatus::success(),
        HostStatus::Skipped => return TestCaseStatus::skipped(),
        HostStatus::Failed | HostStatus::RolledBack => NonSuccessKind::Failure,
        HostStatus::TimedOut | HostStatus::Unreachable => NonSuccessKind::Error,
    };
    let mut status = TestCaseStatus::non_success(kind);
    let error = result.error.clone().unwrap_or_default();
    status.set_type(result.status.as_str());
    status.set_message(error.lines().next().unwrap_or_default());
    status.set_description(error);
    status
}
