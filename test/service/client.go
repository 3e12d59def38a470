package service

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
)

// An Answer is a response to a request, read to its end.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
}

// Into reads the body's JSON.
func (a Answer) Into(t testing.TB, v any) {
	t.Helper()
	if err := json.Unmarshal(a.Body, v); err != nil {
		t.Fatalf("%v in:\n%s", err, a.Body)
	}
}

// Get asks the server for a path.
func (s *Server) Get(t testing.TB, path string, header ...string) Answer {
	t.Helper()
	return Do(t, http.MethodGet, s.URL+path, "", header...)
}

// Post sends the server a JSON body.
func (s *Server) Post(t testing.TB, path, body string, header ...string) Answer {
	t.Helper()
	return Do(t, http.MethodPost, s.URL+path, body, header...)
}

// Do sends a request, with header fields as "Name: value".
func Do(t testing.TB, method, url, body string, header ...string) Answer {
	t.Helper()
	resp := send(t, method, url, body, header...)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("%s %s: %v", method, url, err)
	}
	return Answer{Status: resp.StatusCode, Header: resp.Header, Body: text}
}

func send(t testing.TB, method, url, body string, header ...string) *http.Response {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), Patience)
	t.Cleanup(cancel)
	req, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for _, field := range header {
		name, value, _ := strings.Cut(field, ": ")
		req.Header.Set(name, value)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	return resp
}

// A Frame is a server-sent event.
type Frame struct {
	ID, Event string
	Data      []byte
}

// Stream sends the server a JSON body and hands over the frames of its answer
// until that ends, or show returns false. It returns the answer's header.
func (s *Server) Stream(t testing.TB, path, body string, show func(Frame) bool) http.Header {
	t.Helper()
	resp := send(t, http.MethodPost, s.URL+path, body, "Accept: text/event-stream")
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(resp.Body)
		t.Fatalf("POST %s: status %d\n%s", path, resp.StatusCode, text)
	}
	if err := Frames(resp.Body, show); err != nil {
		t.Fatalf("POST %s: %v", path, err)
	}
	return resp.Header
}

// Frames hands over the frames of a stream until that ends, or show returns
// false. What comes of a frame before a stream breaks is not shown.
func Frames(r io.Reader, show func(Frame) bool) error {
	var f Frame
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		name, value, _ := bytes.Cut(lines.Bytes(), []byte(": "))
		switch string(name) {
		case "id":
			f.ID = string(value)
		case "event":
			f.Event = string(value)
		case "data":
			f.Data = bytes.Clone(value)
		case "":
			if f.Data != nil && !show(f) {
				return nil
			}
			f = Frame{}
		}
	}
	return lines.Err()
}

// A Run is what these suites read of a run.
type Run struct {
	ID        string
	Status    string
	Simulated bool
	Plan      struct {
		Source   string
		Analysis string
		Subtasks []struct {
			ID, Status string
			Cached     bool
			Attempts   int
			Output     string
			Error      *Failure
		}
	}
	Result struct {
		Analysis      string
		WorkerResults []struct {
			ID     string
			Result *string
			Error  *Failure
		} `json:"worker_results"`
		FinalOutput json.RawMessage `json:"final_output"`
		Partial     bool
	}
	Usage struct {
		LLMCalls         int `json:"llm_calls"`
		PromptTokens     int `json:"prompt_tokens"`
		CompletionTokens int `json:"completion_tokens"`
	}
	Waiting *struct {
		SubtaskID string `json:"subtask_id"`
	}
	Error *Failure
}

// A Failure is why something failed.
type Failure struct{ Code, Detail string }
