//go:build integration

// Package aimock runs the whole service against a mock of the OpenAI API that
// we did not write, with fixtures for what the models answer, and examines what
// the service asked them.
package aimock

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tutti-run/tutti/test/service"
)

const cli = "../node_modules/@copilotkit/aimock/dist/cli.js"

func TestMain(m *testing.M) {
	if _, err := os.Stat(cli); err != nil {
		fmt.Fprintln(os.Stderr, "aimock is not installed: make integration does that")
		os.Exit(1)
	}
	os.Exit(service.Main(m))
}

// A mock is an aimock process.
type mock struct {
	t   *testing.T
	url string
}

// startMock starts aimock with all fixtures. Those of a sequence begin anew.
func startMock(t *testing.T) mock {
	t.Helper()
	port := freePort(t)
	m := mock{t: t, url: "http://127.0.0.1:" + port}
	cmd := exec.Command("node", cli, "-h", "127.0.0.1", "-p", port, "-f", "fixtures", "--strict", "--validate-on-load", "--log-level", "warn")
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-done
		if t.Failed() && out.Len() > 0 {
			t.Logf("aimock says:\n%s", &out)
		}
	})
	poll(t, "aimock serves", func() bool {
		select {
		case err := <-done:
			done <- err
			t.Fatalf("aimock ended: %v\n%s", err, &out)
		default:
		}
		resp, err := http.Get(m.url + "/__aimock/journal")
		if err != nil {
			return false
		}
		resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
	return m
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}

// poll asks again and again until something is so: other processes tell us nothing.
func poll(t *testing.T, what string, so func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), service.Patience)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for !so() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("it never came to be that %s", what)
		}
	}
}

// env points a server at the mock, with a model for each role.
func (m mock) env(more ...string) []string {
	return append([]string{
		"OPENAI_BASE_URL=" + m.url + "/v1",
		"OPENAI_API_KEY=key-for-tests",
		"TUTTI_PLANNER_MODEL=planner",
		"TUTTI_MODEL=worker",
		"TUTTI_SYNTHESIZER_MODEL=synthesizer",
	}, more...)
}

// A request is one that reached the mock, with what it was answered.
type request struct {
	Timestamp int64 // in milliseconds
	Headers   map[string]string
	Body      struct {
		Model          string
		Stream         bool
		Messages       []message
		ResponseFormat struct {
			Type string
		} `json:"response_format"`
	}
	Response struct {
		Status      int
		Interrupted bool
	}
}

type message struct {
	Role    string
	Content string
}

// UnmarshalJSON takes the content as a text or in parts.
func (m *message) UnmarshalJSON(data []byte) error {
	var raw struct {
		Role    string
		Content json.RawMessage
	}
	if err := json.Unmarshal(data, &raw); err != nil {
		return err
	}
	m.Role = raw.Role
	if json.Unmarshal(raw.Content, &m.Content) == nil {
		return nil
	}
	var parts []struct{ Text string }
	err := json.Unmarshal(raw.Content, &parts)
	for _, part := range parts {
		m.Content += part.Text
	}
	return err
}

// prompt is what the request says, all in all.
func (r request) prompt() string {
	var b strings.Builder
	for _, m := range r.Body.Messages {
		fmt.Fprintf(&b, "%s: %s\n\n", m.Role, m.Content)
	}
	return b.String()
}

// requests returns what the mock was asked so far, in order.
func (m mock) requests() []request {
	m.t.Helper()
	var list []request
	service.Do(m.t, http.MethodGet, m.url+"/__aimock/journal?path=/v1/chat/completions", "").Into(m.t, &list)
	return list
}

// asked returns the requests to a model whose prompt contains words. Each must
// have found a fixture.
func (m mock) asked(model, words string) []request {
	m.t.Helper()
	list := m.requests()
	for _, r := range list {
		if r.Response.Status == http.StatusServiceUnavailable {
			m.t.Errorf("no fixture is for this request to %s:\n%s", r.Body.Model, r.prompt())
		}
	}
	return slices.DeleteFunc(list, func(r request) bool {
		return r.Body.Model != model || !strings.Contains(r.prompt(), words)
	})
}

// one returns the only such request.
func (m mock) one(model, words string) request {
	m.t.Helper()
	list := m.asked(model, words)
	if len(list) != 1 {
		m.t.Fatalf("the model %s was asked %d times for %q, want once", model, len(list), words)
	}
	return list[0]
}
