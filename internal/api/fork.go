package api

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"net/http"

	"github.com/tutti-run/tutti/internal/orchestration"
)

// A forkEdit changes a subtask in a fork.
type forkEdit struct {
	Description *string         `json:"description,omitempty"`
	Type        *string         `json:"type,omitempty"`
	Output      json.RawMessage `json:"output,omitempty"` // any JSON value; nil: it is performed
}

// ForkRun starts a run that redoes only a part of another one, or says which.
func (s *server) ForkRun(ctx context.Context, request ForkRunRequestObject) (ForkRunResponseObject, error) {
	x := exchangeOf(ctx)
	key := forkKey(request, x.raw)
	if key != nil && !request.Params.DryRun {
		run, hash, err := s.Reader.Key(ctx, x.tenant, key.Key)
		if err == nil {
			return s.replayFork(ctx, key, run, hash)
		}
		if !errors.Is(err, orchestration.ErrNotFound) {
			return nil, err
		}
	}
	h, err := s.history(ctx, x.tenant, request.Id)
	if err != nil {
		return nil, err
	}
	if !h.run.Done() {
		return nil, problem(codeConflict, "The run has not ended.")
	}
	forked, problems := h.run.Fork(edits(request.Body.Edits), request.Body.From)
	if len(problems) > 0 {
		a := acceptance{}
		a.addAll(codeInvalidRequest, "", problems)
		return nil, a.refusal()
	}
	if request.Params.DryRun {
		return ok(ForkPreview{Redo: list(forked.Redo), Keep: list(forked.Keep), Expected: h.expectAgain(s.Defaults, forked.Redo)}), nil
	}
	if err := s.Driver.Room(x.tenant); err != nil {
		return nil, err
	}
	spec, attachments, err := s.forkSpec(ctx, h, forked)
	if err != nil {
		return nil, err
	}
	row, err := s.Driver.Start(ctx, spec, attachments, key)
	var taken *orchestration.KeyTaken
	switch {
	case errors.As(err, &taken): // by a request that came at the same time
		return s.replayFork(ctx, key, taken.Run, taken.Hash)
	case err != nil:
		return nil, err
	}
	return s.showFork(ctx, row, http.Header{})
}

// forkKey returns the request's idempotency key, nil if it has none. What it
// stands for is the run, too.
func forkKey(request ForkRunRequestObject, body []byte) *orchestration.Key {
	if request.Params.IdempotencyKey == "" {
		return nil
	}
	return &orchestration.Key{Key: request.Params.IdempotencyKey, Hash: sha256.Sum256(append([]byte("fork "+request.Id+" "), body...))}
}

func edits(asked map[string]forkEdit) map[string]orchestration.Edit {
	all := make(map[string]orchestration.Edit, len(asked))
	for id, e := range asked {
		edit := orchestration.Edit{Description: e.Description, Type: e.Type}
		if e.Output != nil {
			output := orchestration.TextOf(string(e.Output))
			edit.Output = &output
		}
		all[id] = edit
	}
	return all
}

// forkSpec makes of a run's spec that of its fork. It must be one that this
// server can still carry out.
func (s *server) forkSpec(ctx context.Context, h *history, forked orchestration.Forked) (*orchestration.Spec, [][]byte, error) {
	spec := *h.run.Spec
	spec.Format, spec.Version, spec.Simulated, spec.Deltas = orchestration.SpecFormat, s.Version, s.Simulated, false
	spec.Held = s.budgeted(spec.Tenant)
	spec.Plan = &forked.Plan
	spec.Fork = &orchestration.Fork{Run: h.run.ID, Left: forked.Left}
	for _, kept := range forked.Given {
		output, err := s.whole(ctx, h.run.ID, kept.Output)
		if err != nil {
			return nil, nil, err
		}
		spec.Fork.Given = append(spec.Fork.Given, orchestration.Given{Subtask: kept.Subtask, Output: output, Fallback: kept.Fallback, Shortened: kept.Shortened})
	}
	a := acceptance{defaults: s.Defaults}
	a.stillKnown(&s.Options, &spec)
	a.prices(&spec)
	if err := a.refusal(); err != nil {
		return nil, nil, err
	}
	attachments := make([][]byte, len(spec.Attachments))
	for i := range attachments {
		var err error
		if attachments[i], err = s.Reader.Attachment(ctx, h.run.ID, i); err != nil {
			return nil, nil, err
		}
	}
	return &spec, attachments, nil
}

// stillKnown refuses a spec whose models, tools or webhook secret are configured
// no more: they are looked up by their names.
func (a *acceptance) stillKnown(o *Options, spec *orchestration.Spec) {
	if spec.Webhook != "" && (o.Deliveries == nil || !o.WebhookTenants[spec.Tenant]) {
		a.add(codeInvalidRequest, "", "no_webhook_secret", "the server has no webhook secret of yours any more to sign messages with")
	}
	for _, m := range spec.Models {
		if !a.defaults.allows(m.Name) {
			a.add(codeInvalidRequest, "", "unknown_model", "the run's model %.100q is configured no more", m.Name)
		}
	}
	if have := len(a.defaults.toolsOf(spec)); have < len(spec.Tools) {
		a.add(codeInvalidRequest, "", "unknown_tool", "%d of the run's tools are configured no more", len(spec.Tools)-have)
	}
}

// replayFork shows the fork of an earlier request with the same key.
func (s *server) replayFork(ctx context.Context, key *orchestration.Key, run string, hash [32]byte) (ForkRunResponseObject, error) {
	if hash != key.Hash {
		return nil, keyReused()
	}
	row, err := s.Reader.Row(ctx, exchangeOf(ctx).tenant, run)
	if err != nil {
		return nil, err
	}
	return s.showFork(ctx, row, http.Header{"Idempotency-Replayed": {"true"}})
}

func (s *server) showFork(ctx context.Context, row orchestration.Row, header http.Header) (ForkRunResponseObject, error) {
	h, err := s.fold(ctx, row)
	if err != nil {
		return nil, err
	}
	header.Set("Location", runPath(row.ID))
	return reply{status: http.StatusAccepted, header: header, body: s.shown(ctx, h)}, nil
}

// expectAgain estimates what performing subtasks again comes to, with the
// answer: what it came to before or, of what was not performed, what a plan's
// check would say.
func (h *history) expectAgain(d Defaults, redo []string) Expected {
	spec := h.run.Spec
	d.Planner, d.Worker, d.Synthesizer, d.Evaluator, d.Workers, d.Models = spec.Planner, spec.Worker, spec.Synthesizer, spec.Evaluator, spec.Workers, spec.Models
	e := estimate{defaults: d}
	again := make(map[string]bool, len(redo))
	for _, id := range redo {
		again[id] = true
	}
	for _, s := range h.run.Subtasks {
		switch {
		case s.Parent != "":
			if again[s.Parent] { // a parent comes before its children
				again[s.ID] = true
				e.spent(s.Totals)
			}
		case again[s.ID] && s.Attempts > 0:
			e.spent(s.Totals)
		case again[s.ID]:
			e.subtask(&s.Subtask, 1)
		}
	}
	if h.synthesis.LLMCalls > 0 {
		e.spent(h.synthesis)
	} else {
		e.synthesis(len(h.result().WorkerResults))
	}
	for _, m := range spec.Models {
		e.unpriced = e.unpriced || m.Price == nil
	}
	return e.expected()
}

// spent adds what was used before.
func (e *estimate) spent(t orchestration.Totals) {
	e.calls += t.LLMCalls
	e.cost += t.CostUSD
}
