package metrics

import (
	"context"
	"slices"
	"strconv"

	"github.com/tutti-run/tutti/internal/llm"
)

// Client returns next with every call counted that goes out through it. It
// belongs round the [llm.Pool], which knows how long a request queued.
func (m *Metrics) Client(next llm.Client) llm.Client {
	return llm.Func(func(ctx context.Context, req *llm.Request) (*llm.Response, error) {
		resp, err := next.Chat(ctx, req)
		m.called(req, llm.Calls(resp, err))
		return resp, err
	})
}

// called counts the calls that one request took.
func (m *Metrics) called(req *llm.Request, calls []llm.Call) {
	role, model := string(req.Role), m.models.of(req.Model)
	m.hedged(role, model, calls)
	for i, c := range calls {
		if i == 0 && !c.Queued.IsZero() { // the others did not queue
			m.poolWait.Observe(c.Started.Sub(c.Queued).Seconds())
		}
		m.calls.WithLabelValues(role, model, string(c.Outcome)).Inc()
		m.callDuration.WithLabelValues(role, model).Observe(c.Ended.Sub(c.Started).Seconds())
		if !c.FirstToken.IsZero() {
			m.firstToken.WithLabelValues(role, model).Observe(c.FirstToken.Sub(c.Started).Seconds())
		}
		m.spent(role, model, "prompt", c.Usage.Prompt)
		m.spent(role, model, "cached", c.Usage.Cached)
		m.spent(role, model, "completion", c.Usage.Completion)
	}
}

// hedged counts a request that went out twice. Its calls are in the order in
// which they did: where the first one's answer was not taken, the second one's was.
func (m *Metrics) hedged(role, model string, calls []llm.Call) {
	if slices.ContainsFunc(calls, func(c llm.Call) bool { return c.Hedged }) {
		m.hedges.WithLabelValues(role, model, strconv.FormatBool(calls[0].Hedged)).Inc()
	}
}

// spent counts tokens. A provider's number may be anything, and a counter takes
// no negative one.
func (m *Metrics) spent(role, model, kind string, tokens int) {
	if tokens > 0 {
		m.tokens.WithLabelValues(role, model, kind).Add(float64(tokens))
	}
}
