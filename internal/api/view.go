package api

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
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
	run       *orchestration.Run
	shown     map[string]string // the beginnings of subtasks' outputs longer than the fold keeps
	final     string            // the final output, whole
	synthesis orchestration.Totals
	notes     map[string]*note // by subtask; the plan's under no name
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
	h := &history{run: orchestration.New(orchestration.Funcs{}), shown: make(map[string]string), notes: make(map[string]*note)}
	for h.run.Seq < row.Seq {
		page, err := s.Reader.Events(ctx, row.ID, h.run.Seq, pageSize)
		if err != nil {
			return nil, err
		}
		if len(page) == 0 { // it was deleted meanwhile, or some are lost
			_, err := s.Reader.Row(ctx, row.Tenant, row.ID)
			return nil, cmp.Or(err, orchestration.ErrUnreadable)
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
	h.note(e)
	switch f := e.Fact.(type) {
	case *orchestration.SubtaskSucceeded:
		if len(f.Output) > orchestration.MaxWholeText {
			h.shown[e.Subtask] = cut(f.Output)
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

// view returns the run as every endpoint shows it.
func (h *history) view() *Run {
	r := h.run
	v := &Run{
		Id: r.ID, Status: r.Status, Simulated: r.Spec.Simulated,
		Task: r.Spec.Task, Context: object(r.Spec.Context), Labels: labels(r.Spec.Labels),
		Workflow: r.Spec.Workflow, Progress: r.Progress, Waiting: h.waiting(), Reason: r.Reason, Usage: r.Totals,
		CreatedAt: r.CreatedAt.UTC(), StartedAt: moment(r.StartedAt), EndedAt: moment(r.EndedAt),
	}
	if r.Spec.Fork != nil {
		v.ForkedFrom = &r.Spec.Fork.Run
	}
	if len(r.Subtasks) > 0 { // of a plan, or of one that is still being written
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
		Id: row.ID, Status: row.Status, Simulated: row.Simulated, Task: row.Task, Workflow: optional(row.Workflow), Labels: labels(row.Labels), Progress: row.Progress,
		CreatedAt: row.CreatedAt.UTC(), StartedAt: moment(row.StartedAt), EndedAt: moment(row.EndedAt),
	}
}

// cut returns the beginning of a text that is too long to be shown, cut
// between characters. It lets go of the rest.
func cut(text string) string {
	if len(text) <= maxShown {
		return text
	}
	end := maxShown
	for end > 0 && !utf8.RuneStart(text[end]) {
		end--
	}
	return strings.Clone(text[:end])
}

func failure(f *orchestration.Failure) *Failure {
	if f == nil || f.Code == "" { // nothing has failed
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
