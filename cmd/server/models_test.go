package main

import (
	"testing"

	"go.uber.org/zap"

	"github.com/tutti-run/tutti/internal/llm"
)

// An endpoint that is down is spared, under each of its model's names, and not
// at the cost of another one.
func TestModelsHaveBreakers(t *testing.T) {
	down := "http://127.0.0.1:1/v1"
	listed := &Config{
		Providers: map[string]Provider{"p": {BaseURL: down}},
		Models:    map[string]Model{"a": {Provider: "p", Name: "m"}, "b": {Provider: "p", Name: "m"}, "c": {Provider: "p"}},
	}
	free := &Config{Providers: map[string]Provider{"p": {BaseURL: down}}}
	tests := []struct {
		name          string
		config        *Config
		spared, other string
		otherCalls    int
	}{
		{"listed", listed, "b", "c", 1},
		{"not listed", free, "b", "c", 0},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			m, err := newModels(test.config, zap.NewNop())
			if err != nil {
				t.Fatal(err)
			}
			defer m.close()
			calls := func(model string) int {
				resp, err := m.router.Chat(t.Context(), &llm.Request{Model: model, Messages: []llm.Message{{Author: llm.User, Text: "x"}}})
				return len(llm.Calls(resp, err))
			}
			for range 10 {
				if calls("a") != 1 {
					t.Fatal("no call went out")
				}
			}
			if n := calls(test.spared); n != 0 {
				t.Errorf("%d calls to an endpoint that is down", n)
			}
			if n := calls(test.other); n != test.otherCalls {
				t.Errorf("%d calls to another model, want %d", n, test.otherCalls)
			}
		})
	}
}
