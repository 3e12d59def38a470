package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/mattn/go-isatty"
)

// example is the run that the demo asks for.
const example = `{"task": "Write a product description for a new eco-friendly water bottle",
  "context": {"target_audience": "outdoor enthusiasts", "key_features": ["plastic-free", "insulated"]},
  "planner": {"min_subtasks": 2, "max_subtasks": 3}}`

// ollama is where an Ollama serves on its usual port.
const ollama = "http://127.0.0.1:11434"

// showDemo sends the example to the server that it is part of, over HTTP as any
// caller would, and shows what becomes of it. It gives up when ctx ends.
func showDemo(ctx context.Context, s *server, out io.Writer) {
	select {
	case <-s.Ready():
	case <-ctx.Done():
		return
	}
	say := func(format string, args ...any) { _, _ = fmt.Fprintf(out, format, args...) }
	say("Tutti serves %s, and %s.\n\n", s.URL(), answers(&s.config))
	d := demo{url: s.URL(), out: out, board: newBoard(out, isTerminal(out))}
	switch err := d.run(ctx); {
	case ctx.Err() != nil:
		return
	case err != nil:
		say("\nThe example run came to no answer: %s\n", printable(err.Error()))
	}
	say("\nDo it yourself:\n\n  curl -s %s/v1/runs -H 'Content-Type: application/json' -H 'Prefer: wait=60' -d '%s'\n", s.URL(), example)
	if s.config.simulated() && answersAt(ctx, ollama+"/api/version") {
		say("\nAn Ollama runs on this machine. To have one of its models (ollama list) answer instead:\n\n"+
			"  OPENAI_BASE_URL=%s/v1 TUTTI_MODEL=NAME server -demo\n", ollama)
	}
	say("\nServing until Ctrl-C.\n")
}

func answers(c *Config) string {
	if c.simulated() {
		return "its embedded simulator answers, as no model is configured (OPENAI_BASE_URL, OPENAI_API_KEY)"
	}
	return c.Model + " answers"
}

// answersAt reports whether something answers at a URL of this machine, at once.
func answersAt(ctx context.Context, url string) bool {
	ctx, cancel := context.WithTimeout(ctx, 200*time.Millisecond)
	defer cancel()
	resp, err := get(ctx, url)
	if err != nil {
		return false
	}
	_ = resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

func get(ctx context.Context, url string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return nil, err
	}
	return http.DefaultClient.Do(req)
}

// A demo is one example run as a caller sees it.
type demo struct {
	url   string
	out   io.Writer
	board *board
}

// run starts the example, shows its events as they come, and then its answer.
func (d *demo) run(ctx context.Context) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, d.url+"/v1/runs", strings.NewReader(example))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "text/event-stream")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return refusal(resp)
	}
	var id string
	var calls []call
	frames := make(chan frame)
	var broken error
	go func() { broken = readFrames(ctx, resp.Body, frames); close(frames) }()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for open := true; open; {
		select {
		case <-tick.C:
			d.board.tick(time.Now())
		case f, ok := <-frames:
			if open = ok; !ok {
				break
			}
			id = f.RunID
			for _, c := range f.Data.Calls {
				c.subtask = f.SubtaskID
				calls = append(calls, c)
			}
			d.board.show(f)
		}
	}
	if broken != nil {
		return broken
	}
	return d.conclude(ctx, id, calls)
}

// conclude prints the answer and the calls that it took.
func (d *demo) conclude(ctx context.Context, id string, calls []call) error {
	resp, err := get(ctx, d.url+"/v1/runs/"+id)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return refusal(resp)
	}
	var run struct {
		Status string `json:"status"`
		Result struct {
			FinalOutput string `json:"final_output"`
		} `json:"result"`
		Error problem `json:"error"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&run); err != nil {
		return err
	}
	if run.Status != "succeeded" {
		return fmt.Errorf("it %s: %s", run.Status, run.Error.Detail)
	}
	_, _ = fmt.Fprintf(d.out, "\nThe answer:\n\n%s\n\n", indent(printable(run.Result.FinalOutput)))
	printCalls(d.out, calls)
	return nil
}

// refusal reads a problem.
func refusal(resp *http.Response) error {
	var p problem
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxFile)).Decode(&p); err != nil || p.Detail == "" {
		return fmt.Errorf("status %d", resp.StatusCode)
	}
	if resp.StatusCode == http.StatusUnauthorized {
		return errors.New("it would need one of the tenants' API keys")
	}
	return fmt.Errorf("status %d: %s", resp.StatusCode, p.Detail)
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && isatty.IsTerminal(f.Fd()) && os.Getenv("TERM") != "dumb"
}
