package main

import (
	"context"
	"strings"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/tutti-run/tutti/internal/llm"
)

// The log says once that a provider is away, and once that it is back.
func TestReach(t *testing.T) {
	core, logs := observer.New(zap.InfoLevel)
	calls := []llm.Call{
		{Outcome: llm.OK},
		{Outcome: llm.Unavailable, Unsent: true},
		{Outcome: llm.Unavailable, Unsent: true},
		{Outcome: llm.Unavailable, Unsent: true},
		{Outcome: llm.Timeout},
		{Outcome: llm.RateLimited},
		{Outcome: llm.OK},
	}
	client := llm.Func(func(context.Context, *llm.Request) (*llm.Response, error) {
		c := calls[0]
		calls = calls[1:]
		if c.Outcome == llm.OK {
			return &llm.Response{Calls: []llm.Call{c}}, nil
		}
		return nil, &llm.Error{Outcome: c.Outcome, Detail: "connection refused", Calls: []llm.Call{c}}
	})
	r := &reach{Client: client, provider: "up", log: zap.New(core)}
	for len(calls) > 0 {
		_, _ = r.Chat(t.Context(), &llm.Request{})
	}
	var said []string
	for _, line := range logs.All() {
		said = append(said, line.Level.String()+" "+line.Message+" "+line.ContextMap()["provider"].(string))
	}
	want := "warn a provider cannot be connected to: runs wait for it up\ninfo a provider can be connected to again up"
	if got := strings.Join(said, "\n"); got != want {
		t.Errorf("the log says\n%s\nwant\n%s", got, want)
	}
}
