package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

const webhookSecretOfTests = "whsec_dGhpcyBpcyBub3QgYSBzZWNyZXQgYXQgYWxs"

// A message is what a receiver of webhooks got.
type message struct {
	header http.Header
	body   []byte
}

// receiver hands over the messages that it gets, and answers each as it is told.
func receiver(t *testing.T) (url string, got <-chan message, answers chan<- int) {
	t.Helper()
	messages, statuses := make(chan message), make(chan int, 10)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		messages <- message{r.Header, body}
		select {
		case status := <-statuses:
			w.WriteHeader(status)
		case <-r.Context().Done():
		}
	}))
	t.Cleanup(s.Close)
	return s.URL, messages, statuses
}

// wantSigned checks a message as its receiver would.
func (m message) wantSigned(t *testing.T, run told) {
	t.Helper()
	judge, err := standardwebhooks.NewWebhook(webhookSecretOfTests)
	if err != nil {
		t.Fatal(err)
	}
	if err := judge.Verify(m.body, m.header); err != nil {
		t.Error(err)
	}
	for _, want := range []string{`"type":"run.succeeded"`, `"run_id":"` + run.ID + `"`, `"status":"succeeded"`} {
		if !strings.Contains(string(m.body), want) {
			t.Errorf("the message has no %s: %s", want, m.body)
		}
	}
}

func withWebhooks(c *Config) {
	c.WebhookAllow, c.WebhookSecrets = "127.0.0.0/8", webhookSecretOfTests
}

const withWebhook = `{"task": "Say hello [[sim subtasks=1]]", "webhook": {"url": "URL/tutti"}}`

// deliveries lists those in a state, once there is one.
func (r *running) deliveries(state string) []any {
	r.t.Helper()
	for {
		got := r.ask("GET", "/v1/webhooks/deliveries?state="+state, "")
		if data, _ := got.json["data"].([]any); len(data) > 0 || got.status != 200 {
			return data
		}
	}
}

// A run's end is told to its webhook. What is dead is listed, and can be tried again.
func TestAWebhookIsTold(t *testing.T) {
	url, got, answers := receiver(t)
	r := launch(t, withWebhooks).untilReady()
	answers <- http.StatusGone // for good
	run := r.start(strings.Replace(withWebhook, "URL", url, 1))
	first := <-got
	first.wantSigned(t, run)
	dead := r.deliveries("dead")
	if len(dead) != 1 {
		t.Fatalf("dead: %v", dead)
	}
	d := dead[0].(map[string]any)
	if d["run_id"] != run.ID || d["type"] != "run.succeeded" || d["tries"] != 1.0 || d["last_status"] != 410.0 ||
		d["url"] != url+"/tutti" || d["last_error"] != "answered with 410: nobody is there any more" {
		t.Errorf("dead: %v", d)
	}

	answers <- http.StatusNoContent
	if again := r.ask("POST", "/v1/webhooks/deliveries/"+d["id"].(string)+"/redeliver", ""); again.status != 202 || again.json["state"] != "pending" {
		t.Errorf("status %d: %s", again.status, again.text)
	}
	second := <-got
	second.wantSigned(t, run)
	if a, b := first.header.Get("webhook-id"), second.header.Get("webhook-id"); a != b || a != d["id"] {
		t.Errorf("the same message is %s, then %s, and listed as %s", a, b, d["id"])
	}
	if delivered := r.deliveries("delivered"); len(delivered) != 1 {
		t.Errorf("delivered: %v", delivered)
	}
	if got := r.ask("POST", "/v1/webhooks/deliveries/msg_none_1/redeliver", ""); got.status != 404 {
		t.Errorf("one that is not there: status %d: %s", got.status, got.text)
	}
}

// What a process did not deliver, the next one does.
func TestAWebhookSurvivesARestart(t *testing.T) {
	url, got, answers := receiver(t)
	journal := "sqlite:" + filepath.Join(t.TempDir(), "tutti.db")
	set := func(c *Config) { withWebhooks(c); c.Journal = journal }
	first := launch(t, set).untilReady()
	run := first.start(strings.Replace(withWebhook, "URL", url, 1))
	lost := <-got // and is not answered
	first.stop()
	answers <- http.StatusOK
	second := launch(t, set).untilReady()
	again := <-got
	again.wantSigned(t, run)
	if a, b := lost.header.Get("webhook-id"), again.header.Get("webhook-id"); a != b {
		t.Errorf("the same message is %s, then %s", a, b)
	}
	if delivered := second.deliveries("delivered"); len(delivered) != 1 {
		t.Errorf("delivered: %v", delivered)
	}
}

// Where messages cannot be signed, or may not go, a request is refused.
func TestWebhooksThatAreRefused(t *testing.T) {
	body := strings.Replace(withWebhook, "URL", "http://127.0.0.1:1", 1)
	for want, set := range map[string]func(*Config){
		`"no_webhook_secret"`:      func(c *Config) { c.WebhookAllow = "127.0.0.0/8" },
		"must be an https address": func(c *Config) { c.WebhookSecrets = webhookSecretOfTests },
		`"pointer":"/webhook/url"`: func(c *Config) { c.WebhookSecrets = webhookSecretOfTests },
	} {
		got := launch(t, set).untilReady().ask("POST", "/v1/runs", body)
		if got.status != 422 || !strings.Contains(got.text, want) {
			t.Errorf("want %s; status %d: %s", want, got.status, got.text)
		}
	}
}
