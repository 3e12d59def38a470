package main

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"github.com/tutti-run/tutti/internal/orchestration"
	"github.com/tutti-run/tutti/internal/orchestration/journal"
)

// backup runs the command of that name.
func backup(args ...string) (code int, complaint string) {
	var out, log bytes.Buffer
	code = run(append([]string{"backup"}, args...), &out, &log)
	return code, out.String() + log.String()
}

// A server on a copy has all runs, and goes on with those that had not ended.
func TestABackupBesideARunningServer(t *testing.T) {
	dir := t.TempDir()
	file, copied := "sqlite:"+filepath.Join(dir, "tutti.db"), filepath.Join(dir, "copy.db")
	options, asked := stuck()
	r := launch(t, func(c *Config) { c.Journal, c.simulator = file, options }).untilReady()
	ended := r.start(`{"task": "Hello", "limits": {"max_llm_calls": 1}}`)
	under := r.ask("POST", "/v1/runs", threeSubtasks).run(t).ID
	<-asked
	if code, complaint := backup(copied, "-journal", file); code != exitOK || complaint != "" {
		t.Fatalf("exit code %d: %s", code, complaint)
	}
	if info, err := os.Stat(copied); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the copy is of mode %v, %v", info, err)
	}
	second := launch(t, func(c *Config) { c.Journal = "sqlite:" + copied }).untilReady()
	if run := second.ask("GET", "/v1/runs/"+ended.ID, "").run(t); run.Status != ended.Status {
		t.Errorf("the run that had ended is %s in the copy", run.Status)
	}
	if run := second.ask("GET", "/v1/runs/"+under+"?wait=60", "").run(t); run.Status != "succeeded" {
		t.Errorf("the run that was under way is %s in the copy", run.Status)
	}
	if run := r.ask("GET", "/v1/runs/"+under, "").run(t); run.Status != "running" {
		t.Errorf("the server that was copied has it %s", run.Status)
	}
}

func TestABackupThatCannotBe(t *testing.T) {
	dir := t.TempDir()
	there := filepath.Join(dir, "there.db")
	if err := os.WriteFile(there, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	r := launch(t, func(c *Config) { c.Journal = "sqlite:" + filepath.Join(dir, "tutti.db") }).untilReady()
	for _, tc := range []struct {
		args string
		code int
		want string
	}{
		{"", exitUsage, "server: backup: want the FILE to copy to: server backup FILE [flags]"},
		{"-journal " + r.config.Journal, exitUsage, "server: backup: want the FILE to copy to: server backup FILE [flags]"},
		{there + " -journal " + r.config.Journal, exitFailed, "there.db: file already exists"},
		{dir + "/no/copy.db -journal " + r.config.Journal, exitFailed, "no such file or directory"},
		{dir + "/copy.db -journal sqlite:" + dir + "/nothing.db", exitFailed, "nothing.db: no such file or directory"},
		{dir + "/copy.db -journal mem:", exitFailed, "only one of sqlite:FILE can be copied"},
	} {
		if code, complaint := backup(strings.Fields(tc.args)...); code != tc.code || !strings.Contains(complaint, tc.want) || strings.Count(complaint, "\n") != 1 {
			t.Errorf("backup %s: exit code %d: %s", tc.args, code, complaint)
		}
	}
	if text, err := os.ReadFile(there); err != nil || string(text) != "mine" {
		t.Errorf("the file that was there has %q, %v", text, err)
	}
	if files, _ := filepath.Glob(filepath.Join(dir, "copy*")); len(files) > 0 {
		t.Errorf("left behind: %v", files)
	}
}

// Only what has ended is forgotten, and with it what it owes its webhook.
func TestRetention(t *testing.T) {
	file := "sqlite:" + filepath.Join(t.TempDir(), "tutti.db")
	options, asked := stuck()
	set := func(c *Config) { withWebhooks(c); c.Journal, c.simulator = file, options }
	first := launch(t, set).untilReady()
	ended := first.start(`{"task": "Hello", "limits": {"max_llm_calls": 1}, "webhook": {"url": "http://127.0.0.1:1"}}`)
	if owed := first.deliveries("pending"); len(owed) != 1 {
		t.Errorf("owed: %v", owed)
	}
	under := first.ask("POST", "/v1/runs", threeSubtasks).run(t).ID
	<-asked
	first.stop()

	second := launch(t, func(c *Config) { set(c); c.Retention = time.Nanosecond }).untilReady()
	for gone := false; !gone; { // soon after the start
		gone = second.ask("GET", "/v1/runs/"+ended.ID, "").status == 404
	}
	if owed := second.ask("GET", "/v1/webhooks/deliveries", ""); len(owed.json["data"].([]any)) != 0 {
		t.Errorf("still owed: %s", owed.text)
	}
	if run := second.ask("GET", "/v1/runs/"+under, "").run(t); run.Status != "running" {
		t.Errorf("the run that has not ended is %s", run.Status)
	}
}

// A run whose events are spoilt stays, across starts, until it is deleted. Then its
// idempotency key is free again.
func TestDeleteOfARunThatCannotBeRead(t *testing.T) {
	file := filepath.Join(t.TempDir(), "tutti.db")
	options, asked := stuck()
	set := func(c *Config) { c.Journal, c.simulator = "sqlite:"+file, options }
	first := launch(t, set).untilReady()
	spoilt := first.ask("POST", "/v1/runs", threeSubtasks, "Idempotency-Key: mine").run(t).ID
	<-asked
	first.stop()
	db, err := sql.Open("sqlite", "file:"+file)
	if err == nil {
		_, err = db.ExecContext(t.Context(), `UPDATE commits SET events = '[' WHERE first = 1`)
	}
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}

	second := launch(t, set).untilReady()
	for _, path := range []string{"GET /v1/runs/" + spoilt, "POST /v1/runs/" + spoilt + "/cancel"} {
		method, path, _ := strings.Cut(path, " ")
		if answer := second.ask(method, path, ""); answer.status != 500 || answer.json["code"] != "unreadable_run" {
			t.Errorf("%s %s: %d %s", method, path, answer.status, answer.text)
		}
	}
	if answer := second.ask("DELETE", "/v1/runs/"+spoilt, ""); answer.status != 204 {
		t.Errorf("delete: %d %s", answer.status, answer.text)
	}
	if answer := second.ask("GET", "/v1/runs/"+spoilt, ""); answer.status != 404 {
		t.Errorf("after that: %d %s", answer.status, answer.text)
	}
	second.wantMetrics(`tutti_runs_in_flight 0`)
	if run := second.ask("POST", "/v1/runs", threeSubtasks, "Idempotency-Key: mine").run(t); run.ID == spoilt {
		t.Error("its key still means it")
	}
}

// What has expired in the cache is forgotten within a minute, whether or not runs are.
func TestTheCacheIsSwept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j, err := journal.Open(t.Context(), "mem:", journal.Options{CacheBytes: 1 << 20})
		if err != nil {
			t.Fatal(err)
		}
		defer j.Close()
		began := time.Now()
		var cached []orchestration.Cached
		for key, ttl := range map[string]time.Duration{"short": time.Second, "long": time.Hour} {
			cached = append(cached, orchestration.Cached{Tenant: "default", Key: key, Output: "text", Expires: began.Add(ttl)})
		}
		if err := j.Append(t.Context(), orchestration.Commit{
			Row:    orchestration.Row{ID: "run_1", Tenant: "default", Seq: 1},
			Events: []orchestration.Event{{Seq: 1, Run: "run_1", Fact: &orchestration.RunStarted{}}}, Cached: cached,
		}); err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		go expire(ctx, j, 0, zap.NewNop())
		time.Sleep(expireEvery + time.Second)
		stop()
		synctest.Wait()
		for key, want := range map[string]bool{"short": false, "long": true} {
			if _, ok, err := j.Cached(t.Context(), "default", key, began); ok != want || err != nil {
				t.Errorf("%s: %v, %v", key, ok, err)
			}
		}
	})
}
