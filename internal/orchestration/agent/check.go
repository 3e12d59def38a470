package agent

import (
	"context"
	"encoding/json"

	"github.com/tutti-run/tutti/internal/orchestration"
	"github.com/tutti-run/tutti/internal/orchestration/schema"
)

// The checks that the agent makes, as findings name them.
const (
	checkSchema = "json_schema"
	checkRegex  = "regex"
	checkRubric = "rubric"
)

// maxFinding bounds, in bytes, what a finding says is to be mended.
const maxFinding = 4 << 10

// check makes the command's checks of an output, but for those by expression,
// which the core makes. Rubrics cost a call each, so they are judged only where
// all other checks passed; the findings then lack them. An output that will be
// refused anyway, as it is blank or too large, is not checked.
//
// An output whose JSON satisfies a schema becomes that JSON, so that nobody has
// to find it again in the words or the fence round it.
func (p *performance) check(ctx context.Context, c *orchestration.Work, said *orchestration.Worked) *orchestration.Failure {
	if most := p.Spec.Limits.MaxOutputBytes; isBlankText(said.Output) || most > 0 && len(said.Output) > most {
		return nil
	}
	p.settle(c.Checks, said)
	for i, check := range c.Checks {
		policy := i < c.Policy
		if len(check.JSONSchema) > 0 {
			said.Findings = append(said.Findings, finding(checkSchema, policy, bySchema(check.JSONSchema, said.Output)))
		}
		if check.Regex != "" {
			said.Findings = append(said.Findings, finding(checkRegex, policy, byRegex(check.Regex, said.Output)))
		}
	}
	if !passed(said.Findings) {
		return nil
	}
	return p.judge(ctx, c, said)
}

// settle makes of the output the JSON that a schema asks for, where it has some,
// and shows it if it could not be shown while it was written.
func (p *performance) settle(checks []orchestration.Check, said *orchestration.Worked) {
	if len(schemasOf(checks)) == 0 {
		return
	}
	if found, err := readJSON(said.Output); err == nil {
		if value, violations := strictly(string(found)); len(violations) == 0 {
			said.Output = string(value)
		}
	}
	p.showWhole(said.Subtask, said.Output)
}

// finding is of a check that found that fault; an empty one: none.
func finding(check string, policy bool, fault string) orchestration.Finding {
	return orchestration.Finding{Check: check, Policy: policy, Passed: fault == "", Detail: shortly(fault, maxFinding)}
}

// passed reports whether no check found anything.
func passed(findings []orchestration.Finding) bool {
	for _, f := range findings {
		if !f.Passed {
			return false
		}
	}
	return true
}

// schemasOf returns the schemas that checks hold an output to.
func schemasOf(checks []orchestration.Check) []json.RawMessage {
	var schemas []json.RawMessage
	for _, check := range checks {
		if len(check.JSONSchema) > 0 {
			schemas = append(schemas, check.JSONSchema)
		}
	}
	return schemas
}

// bySchema says where an output breaks a schema, without quoting it.
func bySchema(raw json.RawMessage, output string) string {
	compiled, err := schema.Compile(raw)
	if err != nil {
		return err.Error()
	}
	if _, violations := read(compiled, output); len(violations) > 0 {
		return "The output does not satisfy json_schema: " + rules(violations)
	}
	return ""
}

// byRegex says whether an output fails to match a pattern.
func byRegex(pattern, output string) string {
	compiled, err := orchestration.CompilePattern(pattern)
	if err != nil {
		return err.Error()
	}
	switch matches, err := compiled.Match(output); {
	case err != nil:
		return "The output cannot be matched: " + err.Error() + ". Write a shorter one."
	case matches:
		return ""
	}
	return "The output must match this pattern (RE2), somewhere in it: " + pattern
}
