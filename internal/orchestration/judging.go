package orchestration

import (
	"cmp"
	"slices"
	"strings"
)

// evaluate takes an output that the agent has checked, as far as it can. The
// checks by expression are made here.
func (d *decision) evaluate(s *SubtaskState, w Worked) {
	r := d.run
	succeeded := &SubtaskSucceeded{Shortened: w.Shortened, Cached: w.Cached, Calls: w.Calls}
	if w.Cached { // it passed when it was made
		d.succeeded(s, w.Output, succeeded)
		return
	}
	findings := slices.Concat(w.Findings, r.expressed(s, w.Output))
	if len(findings) == 0 {
		d.succeeded(s, w.Output, succeeded)
		return
	}
	verdict, failure := d.verdict(s, findings)
	d.emitFor(s.ID, s.Attempts, &EvaluationCompleted{Verdict: verdict, Findings: findings, Revision: s.Revisions})
	switch verdict {
	case VerdictSatisfied:
		d.succeeded(s, w.Output, succeeded)
	case VerdictNeedsRevision:
		d.emitFor(s.ID, s.Attempts, &SubtaskRetrying{
			Failure: *failure, Output: w.Output, Feedback: failure.Detail, RetryAt: d.now, Calls: w.Calls,
		})
	default:
		d.subtaskFailed(s, *failure, w.Output, w.Calls)
	}
}

// expressed checks an output by the expressions of the policy and of its subtask.
func (r *Run) expressed(s *SubtaskState, output string) []Finding {
	if s.Check == nil && len(r.Spec.Policy) == 0 {
		return nil
	}
	var findings []Finding
	var v *Variables
	check := func(expression string, policy bool) {
		if expression == "" {
			return
		}
		if v == nil {
			v = r.variables(s).withOutput(output)
		}
		f := Finding{Check: "expr", Policy: policy}
		value, failure := r.eval("check.expr", expression, v)
		switch {
		case failure != nil:
			f.Detail = failure.Detail
		case value == "true":
			f.Passed = true
		default:
			f.Detail = "The output does not satisfy: " + beginning(expression, 300)
		}
		findings = append(findings, f)
	}
	if s.Kind == KindWorker {
		for _, c := range r.Spec.Policy {
			check(c.Expr, true)
		}
	}
	if s.Check != nil {
		check(s.Check.Expr, false)
	}
	return findings
}

// verdict sums findings up. The failure is what a revision is to mend, or why
// there is none.
func (d *decision) verdict(s *SubtaskState, findings []Finding) (Verdict, *Failure) {
	var details []string
	policy := false
	for _, f := range findings {
		if !f.Passed {
			policy = policy || f.Policy
			details = append(details, cmp.Or(f.Detail, "The check by "+f.Check+" failed."))
		}
	}
	if details == nil {
		return VerdictSatisfied, nil
	}
	failure := &Failure{Code: CodeCheckFailed, Detail: strings.Join(details, "\n")}
	if policy {
		failure.Code = CodePolicyViolation
	}
	most := 0
	if s.Kind == KindWorker {
		most = d.run.mostRevisions(s, findings, policy)
	}
	switch {
	case most == 0 || d.run.over():
		return VerdictFailed, failure
	case s.Revisions >= most:
		return VerdictMaxRevisionsReached, failure
	}
	return VerdictNeedsRevision, failure
}

// mostRevisions returns how often an output may be revised: as often as any of the
// checks allows that it failed by, those of the policy if it failed by any of them.
func (r *Run) mostRevisions(s *SubtaskState, findings []Finding, policy bool) int {
	checks := r.Spec.Policy
	if !policy {
		checks = []Check{*s.Check}
	}
	most := 0
	for i := range checks {
		switch c := &checks[i]; {
		case !slices.ContainsFunc(findings, func(f Finding) bool { return !f.Passed && f.Policy == policy && c.makes(f.Check) }):
		case c.MaxRevisions == nil:
			most = max(most, DefaultRevisions)
		default:
			most = max(most, *c.MaxRevisions)
		}
	}
	return most
}

// makes reports whether a finding of that name may be of the check.
func (c *Check) makes(finding string) bool {
	switch finding {
	case "json_schema":
		return len(c.JSONSchema) > 0
	case "regex":
		return c.Regex != ""
	case "expr":
		return c.Expr != ""
	}
	return c.Rubric != ""
}
