package journal_test

import (
	"database/sql"
	"errors"
	"flag"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tutti-run/tutti/internal/orchestration"
	"github.com/tutti-run/tutti/internal/orchestration/journal"
	"github.com/tutti-run/tutti/internal/orchestration/journal/journaltest"
)

var release = flag.String("release", "", "a file that TestReleased writes, as this version does, to be kept in testdata/released")

// released is what a released journal holds: how far its runs are, and what they
// wait for.
var released = []struct {
	run, tenant string
	status      orchestration.Status
	outstanding []string // the keys of its commands
}{
	{"run_succeeded", "acme", orchestration.StatusSucceeded, nil},
	{"run_failed", "acme", orchestration.StatusFailed, nil},
	{"run_canceled", "other", orchestration.StatusCanceled, nil},
	{"run_planning", "acme", orchestration.StatusRunning, []string{"timer/timeout", "plan/1"}},
	{"run_repairing", "other", orchestration.StatusRunning, []string{"timer/timeout", "plan/2"}},
	{"run_working", "acme", orchestration.StatusRunning, []string{"timer/timeout", "subtask/T2/1"}},
	{"run_retrying", "acme", orchestration.StatusRunning, []string{"timer/timeout", "timer/subtask/T1/2"}},
	{"run_synthesizing", "other", orchestration.StatusRunning, []string{"timer/timeout", "synthesis/1"}},
	{"run_canceling", "other", orchestration.StatusCanceling, []string{"abort/subtask/T1/1"}},
}

// A server goes on with the journal of every released version, and with one that
// it wrote itself.
func TestReleased(t *testing.T) {
	now := filepath.Join(t.TempDir(), "now.db")
	writeRelease(t, now)
	if *release != "" {
		copyFile(t, "sqlite:"+now, "sqlite:"+*release, "")
	}
	files, err := filepath.Glob("testdata/released/*.db")
	if err != nil || len(files) == 0 {
		t.Fatalf("released journals %v, error %v", files, err)
	}
	for _, file := range append(files, now) {
		t.Run(filepath.Base(file), func(t *testing.T) {
			dsn := newFile(t)
			copyFile(t, "sqlite:"+file, dsn, "")
			j := open(t, dsn)
			wantReleased(t, j)
			goOn(t, j)
		})
	}
}

// A run of a newer server keeps this one from starting, as long as the run goes
// on, and cannot be read once it has ended.
func TestNewerFormat(t *testing.T) {
	dsn := newFile(t)
	copyFile(t, "sqlite:testdata/released/v1.db", dsn, "")
	for _, tt := range []struct {
		run, created string // what a newer server wrote
	}{
		{"run_working", `$[0].data.spec.format', 3`},
		{"run_planning", `$[0].data.spec', json('{"format":99,"task":{"text":"of another shape"}}')`},
	} {
		newer := newFile(t)
		copyFile(t, dsn, newer, "")
		rewrite(t, newer, `UPDATE commits SET events = json_set(events, '`+tt.created+`) WHERE first = 1 AND run = '`+tt.run+`'`)
		j, err := journal.Open(t.Context(), newer, journal.Options{})
		if err == nil {
			_ = j.Close()
			t.Fatalf("%s: opened", tt.created)
		}
		wantNewer(t, err, tt.run)
		rewrite(t, newer, `UPDATE runs SET ended = 1, status = 'succeeded' WHERE id = '`+tt.run+`'`)
		j = open(t, newer)
		_, err = j.Events(t.Context(), tt.run, 0, 0)
		wantNewer(t, err, tt.run)
		if _, err := j.Events(t.Context(), "run_succeeded", 0, 0); err != nil {
			t.Errorf("another run: %v", err)
		}
	}
}

func wantNewer(t *testing.T, err error, run string) {
	t.Helper()
	for _, want := range []string{run, "none above 2", "newer server", "Start that one again"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not say %q: %v", want, err)
		}
	}
}

// rewrite changes a journal that nobody has open.
func rewrite(t *testing.T, dsn, query string) {
	t.Helper()
	file := url.URL{Scheme: "file", OmitHost: true, Path: strings.TrimPrefix(dsn, "sqlite:")}
	db, err := sql.Open("sqlite", file.String())
	if err != nil {
		t.Fatal(err)
	}
	_, err = db.ExecContext(t.Context(), query)
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
}

func wantReleased(t *testing.T, j journal.Journal) {
	ctx := t.Context()
	var unfinished []string
	for _, want := range released {
		row, err := j.Row(ctx, want.tenant, want.run)
		if err != nil || row.Status != want.status {
			t.Fatalf("%s is %s, error %v; want %s", want.run, row.Status, err, want.status)
		}
		run := replay(t, j, want.run)
		if d := cmp.Diff(row, run.Row()); d != "" {
			t.Errorf("%s (-row +its events):\n%s", want.run, d)
		}
		var outstanding []string
		for _, c := range run.Outstanding() {
			outstanding = append(outstanding, c.Key())
		}
		if d := cmp.Diff(want.outstanding, outstanding); d != "" {
			t.Errorf("outstanding of %s (-want +got):\n%s", want.run, d)
		}
		if !want.status.Ended() {
			unfinished = append(unfinished, want.run)
		}
	}
	rows, err := j.Unfinished(ctx)
	var got []string
	for _, r := range rows {
		got = append(got, r.ID)
	}
	if d := cmp.Diff(unfinished, got); d != "" || err != nil {
		t.Errorf("unfinished, error %v (-want +got):\n%s", err, d)
	}
	rows, err = j.Rows(ctx, "acme", orchestration.Filter{Labels: map[string]string{"team": "growth"}})
	if err != nil || len(rows) != 5 {
		t.Errorf("%d rows by label, error %v", len(rows), err)
	}
	if run, hash, err := j.Key(ctx, "acme", "order-1"); run != "run_succeeded" || hash != [32]byte{1, 31: 9} || err != nil {
		t.Errorf("key of %q, hash %x, error %v", run, hash, err)
	}
	if a, err := j.Attachment(ctx, "run_succeeded", 0); string(a) != "\x89PNG" || err != nil {
		t.Errorf("attachment %q, error %v", a, err)
	}
}

func replay(t *testing.T, j journal.Journal, id string) *orchestration.Run {
	t.Helper()
	events, err := j.Events(t.Context(), id, 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	run := orchestration.New(orchestration.Funcs{})
	for _, e := range events {
		run.Replay(e)
	}
	return run
}

// goOn ends one of the runs as this version does, and forgets it.
func goOn(t *testing.T, j journal.Journal) {
	ctx := t.Context()
	w := &releaseWriter{t: t, j: j, run: replay(t, j, "run_synthesizing"), now: journaltest.Epoch.Add(time.Hour)}
	h := orchestration.Hold{Tenant: "other", Run: w.run.ID, Command: "synthesis/1", Call: 1, CostUSD: 1}
	if err := j.Hold(ctx, h, plenty); err != nil {
		t.Error(err)
	}
	w.settled = []orchestration.Settlement{{Command: "synthesis/1", CostUSD: 0.5}}
	w.deliveries = []orchestration.Delivery{{ID: "msg_1", Tenant: "other", Run: w.run.ID, Time: w.now}}
	w.cached = []orchestration.Cached{{Tenant: "other", Key: "k", Output: "A bottle.", Expires: w.now.Add(time.Hour)}}
	w.say(orchestration.Synthesized{Attempt: 1, Output: "A bottle."})
	if output, ok, err := j.Cached(ctx, "other", "k", w.now); output != "A bottle." || !ok || err != nil {
		t.Errorf("cached %q, %v, error %v", output, ok, err)
	}
	begin := &releaseWriter{t: t, j: j, run: orchestration.New(orchestration.Funcs{}), now: w.now}
	spec := releaseSpec("other")
	spec.Workflow = &orchestration.Origin{Name: "report"}
	begin.say(orchestration.Start{ID: "run_new", Spec: spec})
	rows, err := j.Rows(ctx, "other", orchestration.Filter{Workflow: "report"})
	if d := cmp.Diff([]orchestration.Row{begin.run.Row()}, rows); d != "" || err != nil {
		t.Errorf("runs of the template, error %v (-want +got):\n%s", err, d)
	}
	row, err := j.Row(ctx, "other", w.run.ID)
	if err != nil || row.Status != orchestration.StatusSucceeded {
		t.Errorf("the run is %s, error %v", row.Status, err)
	}
	if spent, held, err := j.Spent(ctx, "other", plenty.Period); spent != 0.5 || held != 0 || err != nil {
		t.Errorf("spent %v, held %v, error %v", spent, held, err)
	}
	if owed, err := j.Due(ctx, w.now, 0); len(owed) != 1 || err != nil {
		t.Errorf("owed %v, error %v", owed, err)
	}
	if n, err := j.Expire(ctx, w.now.Add(time.Hour), 0); n != 4 || err != nil {
		t.Errorf("%d runs removed, error %v", n, err)
	}
}

// A releaseWriter has the core decide what follows from inputs, and appends it.
type releaseWriter struct {
	t           *testing.T
	j           journal.Journal
	run         *orchestration.Run
	now         time.Time
	key         *orchestration.Key
	attachments [][]byte
	settled     []orchestration.Settlement
	deliveries  []orchestration.Delivery
	cached      []orchestration.Cached
}

func (w *releaseWriter) say(said orchestration.Said) {
	w.t.Helper()
	w.now = w.now.Add(time.Second)
	after := w.run.Seq
	events, _, err := w.run.Step(orchestration.Input{Time: w.now, Random: 0.5, Said: said})
	if err != nil || len(events) == 0 {
		w.t.Fatalf("%d events of %T, error %v", len(events), said, err)
	}
	c := orchestration.Commit{After: after, Events: events, Row: w.run.Row(), Settled: w.settled, Deliveries: w.deliveries, Cached: w.cached}
	if after == 0 {
		c.Key, c.Attachments = w.key, w.attachments
	}
	if err := w.j.Append(w.t.Context(), c); err != nil {
		w.t.Fatal(err)
	}
}

func (w *releaseWriter) planned() {
	w.say(orchestration.Planned{Attempt: 1, Plan: releasePlan(), Calls: w.calls("planner")})
}

func (w *releaseWriter) worked(id string) {
	w.say(orchestration.Worked{Subtask: id, Attempt: 1, Output: "facts about " + id + " é 🎻", Calls: w.calls("worker")})
}

func (w *releaseWriter) calls(role string) []orchestration.Call {
	return []orchestration.Call{{
		Role: role, Model: "gpt-5-mini", Attempt: 1, Outcome: "ok", Queued: w.now, Started: w.now, FirstToken: w.now, Ended: w.now.Add(time.Second),
		Usage:   orchestration.Usage{PromptTokens: 900, CachedTokens: 100, CompletionTokens: 500, ReasoningTokens: 50},
		CostUSD: 0.00125,
	}}
}

func releasePlan() orchestration.Plan {
	return orchestration.Plan{Analysis: "two parts", Subtasks: []orchestration.Subtask{
		{ID: "T1", Kind: orchestration.KindWorker, Type: "researcher", Worker: "researcher", Description: "find facts"},
		{ID: "T2", Kind: orchestration.KindWorker, Type: "formal", Description: "write it", DependsOn: []string{"T1"}},
	}}
}

func releaseSpec(tenant string) *orchestration.Spec {
	temperature := 0.2
	role := orchestration.Role{Model: "gpt-5-mini", Prompt: "Answer {task}"}
	return &orchestration.Spec{
		Format: orchestration.SpecFormat, Version: "v0.1.0", Tenant: tenant, Task: "Write a product description",
		Context: []byte(`{"audience":"hikers"}`), Labels: map[string]string{"team": "growth"},
		Planner: orchestration.Planner{Role: role, MinSubtasks: 1, MaxSubtasks: 3},
		Worker:  orchestration.Worker{Role: role}, Synthesizer: orchestration.Synthesizer{Role: role, Mode: orchestration.SynthesizeModel},
		Workers: []orchestration.Worker{{Role: role, Name: "researcher", Description: "finds facts", MaxTokens: 500, Temperature: &temperature}},
		Models:  []orchestration.Model{{Name: "gpt-5-mini", ContextWindow: 128_000}},
		Limits: orchestration.Limits{
			MaxConcurrency: 10, Timeout: 10 * time.Minute, SubtaskTimeout: time.Minute, MaxAttempts: 2, MaxSubtasks: 100, MaxOutputBytes: 1 << 20,
		},
		OnFailure: orchestration.OnFailurePartial,
	}
}

// writeRelease writes a journal as released says, in one file.
func writeRelease(t *testing.T, file string) {
	j := open(t, "sqlite:"+file)
	at := journaltest.Epoch
	begin := func(id, tenant string, edit func(*orchestration.Spec, *releaseWriter)) *releaseWriter {
		w := &releaseWriter{t: t, j: j, run: orchestration.New(orchestration.Funcs{}), now: at}
		at = at.Add(time.Minute)
		spec := releaseSpec(tenant)
		edit(spec, w)
		w.say(orchestration.Start{ID: id, Spec: spec})
		return w
	}
	asItIs := func(*orchestration.Spec, *releaseWriter) {}
	failed := func(code orchestration.Code, retryable bool) *orchestration.Failure {
		return &orchestration.Failure{Code: code, Detail: "no answer", Retryable: retryable}
	}

	w := begin("run_succeeded", "acme", func(s *orchestration.Spec, w *releaseWriter) {
		s.Attachments = []orchestration.Attachment{{Name: "image", MediaType: "image/png", Bytes: 4}}
		w.attachments, w.key = [][]byte{[]byte("\x89PNG")}, &orchestration.Key{Key: "order-1", Hash: [32]byte{1, 31: 9}}
	})
	w.planned()
	w.worked("T1")
	w.worked("T2")
	w.say(orchestration.Synthesized{Attempt: 1, Output: "A bottle.", Calls: w.calls("synthesizer")})

	w = begin("run_failed", "acme", asItIs)
	w.say(orchestration.Planned{Attempt: 1, Failure: failed(orchestration.CodeUpstreamError, false), Calls: w.calls("planner")})

	w = begin("run_canceled", "other", asItIs)
	w.planned()
	w.say(orchestration.Cancel{Detail: "not wanted any more"})
	w.say(orchestration.Worked{Subtask: "T1", Attempt: 1, Failure: failed(orchestration.CodeCanceled, false), Calls: w.calls("worker")})

	begin("run_planning", "acme", func(_ *orchestration.Spec, w *releaseWriter) { w.key = &orchestration.Key{Key: "order-2"} })

	w = begin("run_repairing", "other", asItIs)
	w.say(orchestration.Planned{Attempt: 1, Answer: "{}", Calls: w.calls("planner"), Plan: orchestration.Plan{Subtasks: []orchestration.Subtask{
		{ID: "T1", Kind: orchestration.KindWorker, Description: "depends on what there is not", DependsOn: []string{"T9"}},
	}}})

	w = begin("run_working", "acme", asItIs)
	w.planned()
	w.worked("T1")

	w = begin("run_retrying", "acme", asItIs)
	w.planned()
	w.say(orchestration.Worked{Subtask: "T1", Attempt: 1, Failure: failed(orchestration.CodeUpstreamTimeout, true), Calls: w.calls("worker")})

	w = begin("run_synthesizing", "other", func(s *orchestration.Spec, _ *releaseWriter) { plan := releasePlan(); s.Plan = &plan })
	w.worked("T1")
	w.worked("T2")

	w = begin("run_canceling", "other", asItIs)
	w.planned()
	w.say(orchestration.Cancel{})

	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", file)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.ExecContext(t.Context(), `PRAGMA journal_mode = DELETE; VACUUM`); err != nil {
		t.Fatal(err)
	}
}
