package api

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/tutti-run/tutti/internal/orchestration"
)

// maxShown is the most bytes of an output that a run or an event shows.
const maxShown = 64 << 10

// pageSize is how many events are read from the journal at once: each may hold
// an output of a megabyte.
const pageSize = 100

// A history is a run folded from the journal, and of its outputs what the fold
// itself does not keep.
type history struct {
	run   *orchestration.Run
	shown map[string]string // the beginnings of subtasks' outputs longer than the fold keeps
	final string            // the final output, whole
}

// history reads a run of the tenant as it is now.
func (s *server) history(ctx context.Context, tenant, id string) (*history, error) {
	row, err := s.Reader.Row(ctx, tenant, id)
	if err != nil {
		return nil, err
	}
	return s.fold(ctx, row)
}

// fold reads a run up to the row's last event, at least.
func (s *server) fold(ctx context.Context, row orchestration.Row) (*history, error) {
	h := &history{run: orchestration.New(orchestration.Funcs{}), shown: make(map[string]string)}
	for h.run.Seq < row.Seq {
		page, err := s.Reader.Events(ctx, row.ID, h.run.Seq, pageSize)
		if err != nil {
			return nil, err
		}
		if len(page) == 0 {
			return nil, orchestration.ErrNotFound // deleted meanwhile
		}
		for _, e := range page {
			h.add(e)
		}
	}
	if answer := h.run.Subtask(h.run.Answer); answer != nil {
		var err error
		h.final, err = s.whole(ctx, row.ID, answer.Output)
		return h, err
	}
	return h, nil
}

func (h *history) add(e orchestration.Event) {
	h.run.Replay(e)
	switch f := e.Fact.(type) {
	case *orchestration.SubtaskSucceeded:
		if len(f.Output) > orchestration.MaxWholeText {
			h.shown[e.Subtask] = strings.Clone(cut(f.Output)) // lets go of the rest
		}
	case *orchestration.SynthesisSucceeded:
		h.final = f.Output
	}
}

// whole returns all of an output of the run.
func (s *server) whole(ctx context.Context, run string, t orchestration.Text) (string, error) {
	if t.Seq == 0 {
		return t.Whole, nil
	}
	events, err := s.Reader.Events(ctx, run, t.Seq-1, 1)
	switch {
	case err != nil:
		return "", err
	case len(events) == 0:
		return "", orchestration.ErrNotFound // deleted meanwhile
	}
	return events[0].Body(), nil
}

// output returns as much of a subtask's output as is shown, nil if it has none.
func (h *history) output(s *orchestration.SubtaskState) *string {
	if s.Status != orchestration.StatusSucceeded {
		return nil
	}
	if text, long := h.shown[s.ID]; long {
		return &text
	}
	return &s.Output.Whole
}

// view returns the run as every endpoint shows it.
func (h *history) view() *Run {
	r := h.run
	v := &Run{
		Id: r.ID, Status: r.Status, Simulated: r.Spec.Simulated,
		Task: r.Spec.Task, Context: object(r.Spec.Context), Labels: labels(r.Spec.Labels),
		Progress: r.Progress, Reason: r.Reason, Usage: r.Totals,
		CreatedAt: r.CreatedAt.UTC(), StartedAt: moment(r.StartedAt), EndedAt: moment(r.EndedAt),
	}
	if r.Planning.Version > 0 {
		v.Plan = h.plan()
	}
	if r.Done() {
		v.Result = h.result()
	}
	if r.Failure != nil {
		v.Error = problem(r.Failure.Code, r.Failure.Detail)
		v.Error.Retryable = r.Failure.Retryable
		v.Error.Instance = runPath(r.ID)
	}
	return v
}

func (h *history) plan() *Plan {
	p := h.run.Planning
	plan := &Plan{
		Version: p.Version, Source: p.Source, Analysis: p.Analysis, Subtasks: make([]Subtask, 0, len(h.run.Subtasks)),
		Versions: make([]PlanVersion, len(p.Versions)), Dropped: []Subtask{},
	}
	for i, v := range p.Versions {
		plan.Versions[i] = PlanVersion{
			Version: v.Version, Source: v.Source, Reason: v.Reason, Analysis: v.Analysis, Subtasks: list(v.Subtasks), CreatedAt: v.CreatedAt.UTC(),
		}
	}
	for _, s := range h.run.Subtasks {
		if s.Dropped > 0 {
			plan.Dropped = append(plan.Dropped, h.subtask(s))
		} else {
			plan.Subtasks = append(plan.Subtasks, h.subtask(s))
		}
	}
	return plan
}

func (h *history) subtask(s *orchestration.SubtaskState) Subtask {
	planned := plannedSubtask(s.Subtask)
	return Subtask{
		Id: s.ID, Kind: planned.Kind, Type: s.Type, Worker: optional(s.Performer), Model: optional(s.Model),
		Description: s.Description, DependsOn: planned.DependsOn, After: planned.After,
		Status: s.Status, Attempts: s.Attempts, Fallback: s.FellBack, Shortened: s.Shortened,
		StartedAt: moment(s.StartedAt), EndedAt: moment(s.EndedAt),
		Output: h.output(s), OutputBytes: s.Output.Bytes, Usage: s.Totals, Error: failureOf(s),
	}
}

// result tells what exists, whatever the run's end.
func (h *history) result() *Result {
	r := h.run
	v := &Result{
		Analysis: r.Planning.Analysis, Partial: r.Partial, FinalOutput: h.finalOutput(),
		WorkerResults: make([]WorkerResult, 0, len(r.Subtasks)),
	}
	for _, s := range r.Subtasks {
		if s.Dropped > 0 {
			continue
		}
		v.WorkerResults = append(v.WorkerResults, WorkerResult{
			Id: s.ID, Type: s.Type, Description: s.Description, Result: h.output(s), Error: failureOf(s),
		})
	}
	return v
}

// finalOutput is never cut: nothing else has it whole.
func (h *history) finalOutput() json.RawMessage {
	r := h.run
	if r.Answer == "" && r.Synthesis.Status != orchestration.StatusSucceeded {
		return json.RawMessage("null")
	}
	if len(r.Spec.Synthesizer.JSONSchema) > 0 && json.Valid([]byte(h.final)) {
		return json.RawMessage(h.final)
	}
	var buf bytes.Buffer
	if err := encode(&buf, h.final); err != nil {
		return json.RawMessage("null") // a string always has JSON
	}
	return bytes.TrimSpace(buf.Bytes())
}

// summarize returns what a list shows of a run.
func summarize(row orchestration.Row) RunSummary {
	return RunSummary{
		Id: row.ID, Status: row.Status, Simulated: row.Simulated, Task: row.Task, Labels: labels(row.Labels), Progress: row.Progress,
		CreatedAt: row.CreatedAt.UTC(), StartedAt: moment(row.StartedAt), EndedAt: moment(row.EndedAt),
	}
}

// cut returns the beginning of a text that is too long to be shown, cut
// between characters.
func cut(text string) string {
	if len(text) <= maxShown {
		return text
	}
	end := maxShown
	for end > 0 && !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end]
}

// failureOf says why a subtask has no output, or none yet.
func failureOf(s *orchestration.SubtaskState) *Failure {
	switch {
	case s.Failure == nil && s.Dropped > 0:
		return &Failure{Code: orchestration.CodeCanceled, Detail: fmt.Sprintf("Left out by version %d of the plan.", s.Dropped)}
	case s.Failure == nil && s.Status == orchestration.StatusCanceled:
		return &Failure{Code: orchestration.CodeCanceled, Detail: "Given up with the run."}
	}
	return failure(s.Failure)
}

func failure(f *orchestration.Failure) *Failure {
	if f == nil {
		return nil
	}
	return &Failure{Code: f.Code, Detail: f.Detail, Retryable: f.Retryable}
}

func moment(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

func optional(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}

func object(raw json.RawMessage) json.RawMessage {
	if len(raw) == 0 {
		return json.RawMessage("{}")
	}
	return raw
}

func labels(l map[string]string) Labels {
	if l == nil {
		return Labels{}
	}
	return l
}

func runPath(id string) string { return "/v1/runs/" + id }
