package api

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tutti-run/tutti/internal/orchestration"
)

func (w *world) Deliveries(_ context.Context, tenant string, f orchestration.DeliveryFilter) ([]orchestration.Owed, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.fail != nil {
		return nil, w.fail
	}
	known := f.Before == ""
	var page []orchestration.Owed
	for _, o := range slices.Backward(w.owed) {
		if o.Tenant == tenant && (f.State == "" || o.State == f.State) && (f.Run == "" || o.Run == f.Run) && known && len(page) < f.Limit {
			page = append(page, *o)
		}
		known = known || o.ID == f.Before
	}
	if !known {
		return nil, orchestration.ErrNotFound
	}
	return page, nil
}

func (w *world) Redeliver(_ context.Context, tenant, id string, now time.Time) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, o := range w.owed {
		if o.ID == id && o.Tenant == tenant {
			o.State, o.Next, o.Tries = orchestration.DeliveryPending, now, 0
			return w.fail
		}
	}
	return orchestration.ErrNotFound
}

// serveWebhooks serves a tenant that has a webhook secret.
func serveWebhooks(t *testing.T, change func(*Options)) *client {
	t.Helper()
	return serve(t, func(o *Options, w *world) {
		o.Deliveries, o.WebhookTenants = w, map[string]bool{DefaultTenant: true}
		if change != nil {
			change(o)
		}
	})
}

func withWebhook(url string) string { return fmt.Sprintf(`{"task":"t","webhook":{"url":%q}}`, url) }

func TestAcceptedWebhook(t *testing.T) {
	c := serveWebhooks(t, nil)
	c.start(withWebhook("https://example.org/hook?key=1"))
	if got := c.world.runs[0].run.Spec.Webhook; got != "https://example.org/hook?key=1" {
		t.Errorf("the run tells %q", got)
	}
	c = serveWebhooks(t, func(o *Options) { o.WebhookLoopback = true })
	for _, url := range []string{"http://127.0.0.1:8080/", "http://localhost/", "http://[::1]/", "https://127.0.0.1/"} {
		c.start(withWebhook(url))
	}
}

func TestRefusedWebhook(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*Options)
		url    string
		code   orchestration.Code
		at     string
		detail string
	}{
		"nobody delivers":   {func(o *Options) { o.Deliveries = nil }, "https://example.org/", codeNotSupported, "/webhook", "not supported"},
		"no secret":         {func(o *Options) { o.WebhookTenants = nil }, "https://example.org/", codeInvalidRequest, "/webhook", "no webhook secret"},
		"not https":         {nil, "http://example.org/", codeInvalidRequest, "/webhook/url", "https"},
		"here":              {nil, "http://127.0.0.1/", codeInvalidRequest, "/webhook/url", "https"},
		"http to elsewhere": {func(o *Options) { o.WebhookLoopback = true }, "http://example.org/", codeInvalidRequest, "/webhook/url", "https"},
		"http to a look-alike": {
			func(o *Options) { o.WebhookLoopback = true }, "http://localhost.example.org/", codeInvalidRequest, "/webhook/url", "https",
		},
		"a password": {nil, "https://u:secret-7@example.org/", codeInvalidRequest, "/webhook/url", "user's name"},
		"no host":    {nil, "https:///path", codeInvalidRequest, "/webhook/url", "host"},
	} {
		t.Run(name, func(t *testing.T) {
			c := serveWebhooks(t, test.change)
			p := c.do("POST", "/v1/runs", withWebhook(test.url)).problem(http.StatusUnprocessableEntity, test.code, test.at)
			if !strings.Contains(p.Detail, test.detail) || strings.Contains(p.Detail, "secret-7") {
				t.Errorf("%q", p.Detail)
			}
			if len(c.world.runs) > 0 {
				t.Error("a refused request left a run")
			}
		})
	}
}

func TestDeliveries(t *testing.T) {
	c := serveWebhooks(t, nil)
	if page := decode[DeliveryPage](c.do("GET", "/v1/webhooks/deliveries", "").is(http.StatusOK)); page.Data == nil || len(page.Data) > 0 {
		t.Errorf("nothing is owed, and %+v listed", page)
	}
	var runs []string
	for range 5 {
		runs = append(runs, c.start(withWebhook("https://example.org/")))
		c.world.working.Wait()
	}
	dead := c.world.owed[1]
	dead.State, dead.Tries, dead.LastStatus, dead.LastError, dead.Next = orchestration.DeliveryDead, 10, 500, "answered with 500", time.Time{}

	var seen []string
	path := "/v1/webhooks/deliveries?limit=2"
	for range 5 {
		page := decode[DeliveryPage](c.do("GET", path, "").is(http.StatusOK))
		for _, d := range page.Data {
			seen = append(seen, d.RunId)
		}
		if len(page.Data) > 2 {
			t.Errorf("a page of %d", len(page.Data))
		}
		if page.NextCursor == nil {
			break
		}
		path = "/v1/webhooks/deliveries?limit=2&cursor=" + *page.NextCursor
	}
	slices.Reverse(seen)
	if !slices.Equal(seen, runs) {
		t.Errorf("listed %v, want %v, newest first", seen, runs)
	}
	for query, want := range map[string]int{"state=dead": 1, "state=pending": 4, "state=delivered": 0, "run=" + runs[0]: 1, "run=run_gone": 0} {
		if page := decode[DeliveryPage](c.do("GET", "/v1/webhooks/deliveries?"+query, "").is(http.StatusOK)); len(page.Data) != want {
			t.Errorf("%s lists %d, want %d", query, len(page.Data), want)
		}
	}
	got := decode[DeliveryPage](c.do("GET", "/v1/webhooks/deliveries?state=dead", "")).Data[0]
	if got.Type != "run.succeeded" || got.Status != orchestration.StatusSucceeded || got.Tries != 10 || got.NextTryAt != nil ||
		*got.LastStatus != 500 || *got.LastError != "answered with 500" || got.Seq != dead.Seq || got.Url != "https://example.org/" {
		t.Errorf("%+v", got)
	}
	for query, pointer := range map[string]string{
		"cursor=xyz": "query/cursor", "cursor=" + cursorAfter("run_0001"): "query/cursor", "cursor=" + cursorAfter("msg_gone_1"): "query/cursor",
		"limit=0": "query/limit", "state=lost": "query/state", "wat=1": "query/wat",
	} {
		c.do("GET", "/v1/webhooks/deliveries?"+query, "").problem(http.StatusBadRequest, codeInvalidRequest, pointer)
	}
}

func TestRedeliver(t *testing.T) {
	c := serveWebhooks(t, nil)
	c.start(withWebhook("https://example.org/"))
	c.world.working.Wait()
	owed := c.world.owed[0]
	owed.State, owed.Tries, owed.LastError, owed.Next = orchestration.DeliveryDead, 10, "no connection", time.Time{}
	for i := range pageSize { // as of a run that waited often
		older := *owed
		older.ID = fmt.Sprint(strings.TrimRight(owed.ID, "0123456789"), 1000+i)
		c.world.owed = append(c.world.owed, &older)
	}
	d := decode[Delivery](c.do("POST", "/v1/webhooks/deliveries/"+owed.ID+"/redeliver", "").is(http.StatusAccepted))
	if d.Id != owed.ID || d.State != orchestration.DeliveryPending || d.Tries != 0 || d.NextTryAt == nil || d.LastStatus != nil || *d.LastError != "no connection" {
		t.Errorf("%+v", d)
	}
	for _, id := range []string{"msg_gone_1", "x", "msg_", "%00"} {
		c.do("POST", "/v1/webhooks/deliveries/"+id+"/redeliver", "").problem(http.StatusNotFound, codeNotFound)
	}
	owed.Tenant = "other"
	c.do("POST", "/v1/webhooks/deliveries/"+owed.ID+"/redeliver", "").problem(http.StatusNotFound, codeNotFound)
	c.world.fail = orchestration.ErrUnavailable
	c.do("GET", "/v1/webhooks/deliveries", "").problem(http.StatusServiceUnavailable, codeStorageUnavailable)
}

func TestNobodyDelivers(t *testing.T) {
	c := serve(t, nil)
	c.do("GET", "/v1/webhooks/deliveries", "").problem(http.StatusUnprocessableEntity, codeNotSupported, "")
	c.do("POST", "/v1/webhooks/deliveries/msg_1_2/redeliver", "").problem(http.StatusUnprocessableEntity, codeNotSupported, "")
}
