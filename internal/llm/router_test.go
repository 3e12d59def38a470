package llm

import (
	"context"
	"reflect"
	"testing"
)

func TestRouter(t *testing.T) {
	echo := func(client string) Client {
		return Func(func(_ context.Context, req *Request) (*Response, error) { return Answer(client + " " + req.Model), nil })
	}
	routes := map[string]Route{
		"fast": {Client: echo("a"), Name: "gpt-5-mini"},
		"same": {Client: echo("b")},
	}
	fallback := &Route{Client: echo("c")}
	tests := []struct {
		name   string
		router Router
		model  string
		want   string
		failed Outcome
	}{
		{"under the provider's name", Router{Routes: routes}, "fast", "a gpt-5-mini", OK},
		{"under its own name", Router{Routes: routes}, "same", "b same", OK},
		{"by default", Router{Routes: routes, Default: fallback}, "other", "c other", OK},
		{"unknown", Router{Routes: routes}, "other", "", InvalidRequest},
		{"no routes at all", Router{}, "other", "", InvalidRequest},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			req := &Request{Model: test.model, IdempotencyKey: "k"}
			resp, err := test.router.Chat(t.Context(), req)
			if outcome(err) != test.failed || (err == nil && resp.Text != test.want) {
				t.Errorf("got %+v, %v; want %q %s", resp, err, test.want, test.failed)
			}
			if err != nil && len(Calls(nil, err)) != 0 {
				t.Error("a call that never went out was counted")
			}
			if want := (&Request{Model: test.model, IdempotencyKey: "k"}); !reflect.DeepEqual(req, want) {
				t.Errorf("the request was changed to %+v", req)
			}
		})
	}
}

// What is asked and answered about tools goes through all that stands between.
func TestNothingIsLostOnTheWay(t *testing.T) {
	temperature := 0.5
	req := &Request{
		Role: Evaluator, Model: "fast", Temperature: &temperature, MaxTokens: 7, ReasoningEffort: "low", Schema: &Schema{Name: "s"},
		Messages: []Message{{Author: Assistant, ToolCalls: []ToolCall{{ID: "a", Name: "f"}}}, {Author: ToolResult, Text: "x", Answers: "a"}},
		Tools:    []Tool{{Name: "f", Description: "d", Schema: []byte("{}")}},
		Stream:   true, IdempotencyKey: "k", Place: Place{Tenant: "t", Run: "r", Priority: 1},
	}
	want := *req
	want.Model = "gpt-5-mini"
	asked := []ToolCall{{ID: "b", Name: "f", Arguments: "{}"}}
	end := Func(func(_ context.Context, got *Request) (*Response, error) {
		if !reflect.DeepEqual(*got, want) {
			t.Errorf("got %+v, want %+v", *got, want)
		}
		resp := Answer("")
		resp.ToolCalls, resp.Truncated = asked, true
		return resp, nil
	})
	router := &Router{Routes: map[string]Route{"fast": {Client: NewBreaker(end), Name: "gpt-5-mini"}}}
	resp, err := NewPool(router, 1, router.Upstream).Chat(t.Context(), req)
	if err != nil || !reflect.DeepEqual(resp.ToolCalls, asked) || !resp.Truncated || len(resp.Calls) != 1 {
		t.Errorf("got %+v, %v", resp, err)
	}
}
