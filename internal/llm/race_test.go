package llm

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// An answering is how one call goes: the pieces that come, and how it ends.
type answering struct {
	after  time.Duration // before each piece, and the end
	pieces string        // that are streamed, letter by letter
	fails  Outcome       // empty: it answers with the pieces
	panics bool
}

// A duel is a Client whose calls go as they are told, from when it is set up.
type duel struct {
	calls []answering // by number; nil: all take a second
	began time.Time

	mu    sync.Mutex
	keys  []string
	ended []time.Duration // when each was over
}

func (d *duel) Chat(ctx context.Context, req *Request) (*Response, error) {
	if d.calls == nil {
		time.Sleep(time.Second)
		if req.Stream {
			req.OnText("x")
		}
		return Answer("x"), nil
	}
	d.mu.Lock()
	n := len(d.keys)
	d.keys, d.ended = append(d.keys, req.IdempotencyKey), append(d.ended, 0)
	d.mu.Unlock()
	defer func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.ended[n] = time.Since(d.began)
	}()
	how := d.calls[n]
	call := Call{Started: time.Now()}
	for _, piece := range append(strings.Split(how.pieces, ""), "") {
		select {
		case <-time.After(how.after):
		case <-ctx.Done():
			call.Outcome = Canceled
			return nil, Ended(ctx, call)
		}
		if req.Stream && piece != "" {
			req.OnText(piece)
		}
	}
	switch {
	case how.panics:
		panic("boom")
	case how.fails != "":
		call.Outcome = how.fails
		return nil, &Error{Outcome: how.fails, Detail: fmt.Sprint("call ", n), Calls: []Call{call}}
	}
	call.Outcome = OK
	return &Response{Text: how.pieces, Calls: []Call{call}}, nil
}

// known returns a pool that knows that answers take a second, and has an
// allowance of second calls.
func known(t *testing.T, d *duel, slots int, stream bool) *Pool {
	pool := NewPool(d, slots, nil)
	pool.Hedge(func(model string) bool { return model == "" })
	for range tailLeast {
		if _, err := pool.Chat(t.Context(), &Request{Role: Worker, Stream: stream}); err != nil {
			t.Fatal(err)
		}
	}
	d.began = time.Now()
	return pool
}

func TestRaces(t *testing.T) {
	const s = time.Second
	tests := map[string]struct {
		stream  bool
		timeout time.Duration
		cancel  time.Duration // the caller's
		calls   []answering
		want    string // the text, or the failure
		shown   string
		ended   []time.Duration
		told    string // outcomes of the calls, those given up in brackets
	}{
		"the first one is soon enough": {calls: []answering{{s / 4, "a", "", false}}, want: "a", ended: []time.Duration{s / 2}, told: "ok"},
		"the first one wins": {
			calls: []answering{{s, "a", "", false}, {s, "bb", "", false}}, want: "a", ended: []time.Duration{2 * s, 2 * s}, told: "ok (canceled)",
		},
		"the second one wins": {
			calls: []answering{{9 * s, "a", "", false}, {s, "b", "", false}}, want: "b", ended: []time.Duration{3 * s, 3 * s}, told: "(canceled) ok",
		},
		"the first one fails at once": {
			calls: []answering{{s / 4, "", Unavailable, false}}, want: "unavailable: call 0", ended: []time.Duration{s / 4}, told: "unavailable",
		},
		"the first one fails late": {
			calls: []answering{{2 * s, "", Unavailable, false}, {2 * s, "b", "", false}}, want: "b", ended: []time.Duration{2 * s, 5 * s}, told: "(unavailable) ok",
		},
		"the second one fails": {
			calls: []answering{{2 * s, "a", "", false}, {s / 2, "", Unavailable, false}}, want: "a", ended: []time.Duration{4 * s, 3 * s / 2}, told: "ok (unavailable)",
		},
		"both fail": {
			calls: []answering{{2 * s, "", Empty, false}, {3 * s, "", Unavailable, false}}, want: "empty: call 0", ended: []time.Duration{2 * s, 4 * s}, told: "empty (unavailable)",
		},
		"the time is up": {
			timeout: 3 * s, calls: []answering{{9 * s, "a", "", false}, {9 * s, "b", "", false}},
			want: "timeout", ended: []time.Duration{3 * s, 3 * s}, told: "canceled (canceled)",
		},
		"the caller gives up": {
			cancel: 2 * s, calls: []answering{{9 * s, "a", "", false}, {9 * s, "b", "", false}},
			want: "canceled", ended: []time.Duration{2 * s, 2 * s}, told: "canceled (canceled)",
		},
		"the second one panics": {
			calls: []answering{{2 * s, "a", "", false}, {s, "", "", true}}, want: "panic: boom", ended: []time.Duration{4 * s, 2 * s},
		},
		"the first one panics": {
			calls: []answering{{2 * s, "", "", true}, {s, "b", "", false}}, want: "panic: boom", ended: []time.Duration{2 * s, 3 * s},
		},
		"streamed, and soon there": {
			stream: true, calls: []answering{{s / 2, "aaaaaa", "", false}}, want: "aaaaaa", shown: "aaaaaa", ended: []time.Duration{7 * s / 2}, told: "ok",
		},
		"streamed, the first one is there first": {
			stream: true, calls: []answering{{3 * s, "aa", "", false}, {5 * s, "bb", "", false}},
			want: "aa", shown: "aa", ended: []time.Duration{9 * s, 3 * s}, told: "ok (canceled)",
		},
		"streamed, the second one is there first": {
			stream: true, calls: []answering{{9 * s, "aa", "", false}, {s, "bbb", "", false}},
			want: "bbb", shown: "bbb", ended: []time.Duration{2 * s, 5 * s}, told: "(canceled) ok",
		},
		"streamed, and what was shown breaks off": {
			stream: true, calls: []answering{{9 * s, "aa", "", false}, {s, "bbb", Unavailable, false}},
			want: "unavailable: call 1", shown: "bbb", ended: []time.Duration{2 * s, 5 * s}, told: "(canceled) unavailable",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := &duel{}
				pool := known(t, d, 2, test.stream)
				d.calls = test.calls
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				if test.cancel > 0 {
					time.AfterFunc(test.cancel, cancel)
				}
				shown := ""
				got, calls := attempt(ctx, pool, &Request{
					Role: Worker, Hedge: true, Stream: test.stream, Timeout: test.timeout, IdempotencyKey: "k",
					OnText: func(text string) { shown += text },
				})
				if !strings.HasPrefix(got, test.want) || shown != test.shown {
					t.Errorf("got %q and was shown %q, want %q and %q", got, shown, test.want, test.shown)
				}
				if !slices.Equal(d.ended, test.ended) {
					t.Errorf("the calls were over after %v, want %v", d.ended, test.ended)
				}
				if told := tell(calls); told != test.told {
					t.Errorf("told of the calls %q, want %q", told, test.told)
				}
				if want := []string{"k", "k/hedge"}; !slices.Equal(d.keys, want[:len(d.keys)]) {
					t.Errorf("keys %q", d.keys)
				}
				if pool.InUse() != 0 || pool.Limit("") != 2 {
					t.Errorf("%d in use, a limit of %d", pool.InUse(), pool.Limit(""))
				}
			})
		})
	}
}

// attempt returns what a request comes to, in words, and its calls.
func attempt(ctx context.Context, pool *Pool, req *Request) (got string, calls []Call) {
	defer func() {
		if v := recover(); v != nil {
			got = fmt.Sprint("panic: ", v)
		}
	}()
	resp, err := pool.Chat(ctx, req)
	if err != nil {
		failed := asError(err)
		return fmt.Sprintf("%s: %s", failed.Outcome, failed.Detail), failed.Calls
	}
	return resp.Text, resp.Calls
}

func tell(calls []Call) string {
	var told []string
	for _, c := range calls {
		word := string(c.Outcome)
		if c.Hedged {
			word = "(" + word + ")"
		}
		told = append(told, word)
	}
	return strings.Join(told, " ")
}

// Where there is no second call, the first one is waited for.
func TestNoSecondCall(t *testing.T) {
	tests := map[string]func(t *testing.T, pool *Pool, req *Request){
		"that nobody pays for":          func(_ *testing.T, _ *Pool, req *Request) { req.Hedge = false },
		"of a model that is asked once": func(_ *testing.T, _ *Pool, req *Request) { req.Model = "other" },
		"in a role that is not known":   func(_ *testing.T, _ *Pool, req *Request) { req.Role = Planner },
		"streamed, as none was":         func(_ *testing.T, _ *Pool, req *Request) { req.Stream = true },
		"beyond the allowance":          func(_ *testing.T, pool *Pool, _ *Request) { pool.gates[""].spare = 0.9 },
		"while others have all slots":   func(_ *testing.T, pool *Pool, _ *Request) { pool.inUse = pool.slots - 1 },
		"while the gate is closed": func(_ *testing.T, pool *Pool, _ *Request) {
			time.AfterFunc(time.Millisecond, func() {
				pool.mu.Lock()
				defer pool.mu.Unlock()
				pool.gates[""].until = time.Now().Add(time.Hour)
			})
		},
		"after the limit was cut":        func(_ *testing.T, pool *Pool, _ *Request) { pool.gates[""].slots++ },
		"soon after there was a refusal": func(_ *testing.T, pool *Pool, _ *Request) { pool.gates[""].cut = time.Now().Add(-hedgeCalm / 2) },
		"at a pace":                      func(_ *testing.T, pool *Pool, _ *Request) { pool.gates[""].pace.rate = 900 },
	}
	for name, prevent := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := &duel{}
				pool := known(t, d, 2, false)
				d.calls = []answering{{5 * time.Second, "a", "", false}, {time.Second, "b", "", false}}
				req := &Request{Role: Worker, Hedge: true, OnText: func(string) {}}
				prevent(t, pool, req)
				if got, calls := attempt(t.Context(), pool, req); got != "a" || tell(calls) != "ok" || len(d.keys) != 1 {
					t.Errorf("got %q of the calls %q, %d went out", got, tell(calls), len(d.keys))
				}
			})
		})
	}
}

// What the client gives to many stays as it was.
func TestRacesChangeNoResponse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared := &Response{Text: "x", Calls: []Call{{Outcome: OK}}}
		after := time.Second
		pool := NewPool(Func(func(context.Context, *Request) (*Response, error) {
			time.Sleep(after)
			return shared, nil
		}), 2, nil)
		pool.Hedge(func(string) bool { return true })
		for range tailLeast {
			_, _ = pool.Chat(t.Context(), &Request{})
		}
		after = 3 * time.Second
		resp, err := pool.Chat(t.Context(), &Request{Hedge: true})
		if err != nil || tell(resp.Calls) != "ok (ok)" || tell(shared.Calls) != "ok" || !shared.Calls[0].Queued.IsZero() {
			t.Errorf("got %v, %v; shared %v", resp, err, shared)
		}
	})
}
