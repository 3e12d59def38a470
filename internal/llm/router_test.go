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
