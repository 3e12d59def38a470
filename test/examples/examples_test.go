// Package examples sends the requests of the examples folder to a real server.
package examples

import (
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tutti-run/tutti/test/service"
)

func TestMain(m *testing.M) { os.Exit(service.Main(m)) }

// TestRequests has each request carried out, as curl -d @file sends it.
func TestRequests(t *testing.T) {
	files, err := filepath.Glob("../../examples/*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("no examples: %v", err)
	}
	s := service.Start(t, "TUTTI_WEBHOOK_SECRETS=whsec_dGhpcyBpcyBub3QgYSBzZWNyZXQgYXQgYWxs", "TUTTI_WEBHOOK_ALLOW=127.0.0.0/8")
	started := map[string]string{} // the run's path, by file
	for _, file := range files {
		a := s.Post(t, "/v1/runs", read(t, file))
		if a.Status != http.StatusAccepted {
			t.Fatalf("%s: status %d\n%s", file, a.Status, a.Body)
		}
		started[file] = a.Header.Get("Location")
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			var run service.Run
			a := s.Get(t, started[file]+"?wait=60")
			if a.Into(t, &run); run.Waiting != nil {
				s.Post(t, started[file]+"/subtasks/"+run.Waiting.SubtaskID+"/decision", `{"action": "approve"}`)
				a = s.Get(t, started[file]+"?wait=60")
				a.Into(t, &run)
			}
			if run.Status != "succeeded" || run.Result.Partial {
				t.Errorf("the run is %s, partial %v\n%s", run.Status, run.Result.Partial, a.Body)
			}
			body := read(t, file)
			none := bytes.Equal(run.Result.FinalOutput, []byte("null"))
			if asked := !strings.Contains(body, `"mode": "none"`); asked == none {
				t.Errorf("the final output is %s", run.Result.FinalOutput)
			}
			if strings.Contains(body, "json_schema") {
				var object map[string]any
				if json.Unmarshal(run.Result.FinalOutput, &object) != nil {
					t.Errorf("the final output is no object: %s", run.Result.FinalOutput)
				}
			}
		})
	}
}

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestConfiguration starts a server with the example of a configuration.
func TestConfiguration(t *testing.T) {
	file, err := filepath.Abs("../../examples/tutti.yaml")
	if err != nil {
		t.Fatal(err)
	}
	s := service.Start(t, "TUTTI_CONFIG="+file, "OPENAI_API_KEY=key-for-tests")
	if a := s.Get(t, "/v1/workers"); a.Status != http.StatusUnauthorized {
		t.Errorf("without a key: status %d", a.Status)
	}
	const key = "Authorization: Bearer secret"
	var workers, models struct{ Data []struct{ Name string } }
	s.Get(t, "/v1/workers", key).Into(t, &workers)
	s.Get(t, "/v1/models", key).Into(t, &models)
	if len(workers.Data) != 2 || len(models.Data) != 3 {
		t.Errorf("%d workers and %d models, want 2 and 3", len(workers.Data), len(models.Data))
	}
	if a := s.Post(t, "/v1/runs", `{"task": "Hi", "worker": {"model": "gpt-4"}}`, key); a.Status != http.StatusUnprocessableEntity {
		t.Errorf("a model that is not listed: status %d\n%s", a.Status, a.Body)
	}
}
