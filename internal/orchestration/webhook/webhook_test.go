package webhook

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/tutti-run/tutti/internal/orchestration"
)

// verify checks a message as its receiver would.
func verify(t *testing.T, secret string, m received) error {
	t.Helper()
	judge, err := standardwebhooks.NewWebhook(secret)
	if err != nil {
		t.Fatal(err)
	}
	return judge.Verify(m.body, m.header)
}

func TestTheMessage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, r := &outbox{}, &receiver{}
		b.owe("msg_1f_12", hidden)
		send(t, b, r, newSecret, oldSecret)
		synctest.Wait()
		got := r.all()
		if len(got) != 1 {
			t.Fatalf("%d messages", len(got))
		}
		m := got[0]
		const want = `{"type":"run.succeeded","timestamp":"2026-01-01T00:00:00.005Z","data":{"run_id":"run_1f","seq":12,"status":"succeeded"}}`
		if string(m.body) != want {
			t.Errorf("the body is %s", m.body)
		}
		if m.header.Get("webhook-id") != "msg_1f_12" || m.header.Get("Content-Type") != "application/json" {
			t.Errorf("%v", m.header)
		}
		for _, secret := range []string{oldSecret, newSecret} {
			if err := verify(t, secret, m); err != nil {
				t.Error(err)
			}
		}
		if verify(t, "whsec_"+strings.Repeat("AAAA", 8), m) == nil {
			t.Error("a secret that it was not signed with verifies it")
		}
		if o := b.get("msg_1f_12"); o.State != orchestration.DeliveryDelivered || o.LastStatus != 204 || o.LastError != "" || o.Tries != 1 {
			t.Errorf("%+v", o)
		}
	})
}

func TestTheScheduleToTheDeadLetter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, fails := &outbox{}, true
		r := &receiver{answer: func(*http.Request) (*http.Response, error) {
			if fails {
				return status(500), nil
			}
			return status(200), nil
		}}
		b.owe("msg", "https://example.org/")
		s := send(t, b, r, newSecret)
		time.Sleep(5 * 24 * time.Hour)
		synctest.Wait()
		got := r.all()
		if len(got) != 10 {
			t.Fatalf("tried %d times, want 10", len(got))
		}
		for i, m := range got {
			if m.header.Get("webhook-id") != "msg" || !bytes.Equal(m.body, got[0].body) {
				t.Errorf("try %d is another message", i+1)
			}
			if i == 0 {
				continue
			}
			wait, waited := waits[i-1], m.at.Sub(got[i-1].at)
			if waited < wait || waited > wait*6/5 {
				t.Errorf("try %d came after %v, want %v and up to a fifth more", i+1, waited, wait)
			}
			if m.header.Get("webhook-timestamp") == got[i-1].header.Get("webhook-timestamp") {
				t.Errorf("try %d has the time of the one before", i+1)
			}
		}
		if o := b.get("msg"); o.State != orchestration.DeliveryDead || o.LastError != "answered with 500" || o.Tries != 10 {
			t.Errorf("%+v", o)
		}

		fails = false
		b.redeliver("msg")
		s.Wake()
		synctest.Wait()
		if o := b.get("msg"); o.State != orchestration.DeliveryDelivered {
			t.Errorf("delivered again: %+v", o)
		}
	})
}

func TestVerdicts(t *testing.T) {
	dead, delivered, pending := orchestration.DeliveryDead, orchestration.DeliveryDelivered, orchestration.DeliveryPending
	for name, test := range map[string]struct {
		code  int
		after string // Retry-After
		state orchestration.DeliveryState
		wait  time.Duration // at least; a fifth of 5 s more at most
	}{
		"200":                    {200, "", delivered, 0},
		"299":                    {299, "", delivered, 0},
		"302":                    {302, "", pending, 5 * time.Second},
		"404":                    {404, "", pending, 5 * time.Second},
		"410":                    {410, "", dead, 0},
		"429":                    {429, "120", pending, 2 * time.Minute},
		"429, for a moment":      {429, "1", pending, 5 * time.Second},
		"503, by date":           {503, "Sat, 01 Jan 2000 01:00:00 GMT", pending, time.Hour},
		"503, long ago":          {503, "Fri, 01 Jan 1999 01:00:00 GMT", pending, 5 * time.Second},
		"503, for ever":          {503, "2000000000", pending, 24 * time.Hour},
		"503, nonsense":          {503, "-1", pending, 5 * time.Second},
		"500 has no Retry-After": {500, "120", pending, 5 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { // it is midnight, the 1st of January 2000
				b := &outbox{}
				b.owe("msg", "https://example.org/")
				s := send(t, b, &receiver{answer: func(*http.Request) (*http.Response, error) {
					return status(test.code, "Retry-After", test.after), nil
				}}, newSecret)
				synctest.Wait()
				s.Close()
				o := b.get("msg")
				if o.State != test.state || o.LastStatus != test.code {
					t.Errorf("%+v", o)
				}
				if wait := time.Until(o.Next); o.State == pending && (wait < test.wait || wait > test.wait+time.Second) {
					t.Errorf("the next try is in %v", wait)
				}
			})
		})
	}
}

func TestWhatCanNeverBeDelivered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, r := &outbox{}, &receiver{}
		for i, url := range []string{"http://example.org/", "http://10.0.0.1/", "https://u:p@example.org/", "ftp://example.org/", "https://", "\x7f"} {
			b.owe(fmt.Sprint("bad ", i), url)
		}
		s := send(t, b, r, newSecret)
		synctest.Wait()
		s.Close()
		b.owe("unsigned", "https://example.org/")
		send(t, b, r)
		synctest.Wait()
		if states := b.states(); states[orchestration.DeliveryDead] != 7 || len(r.all()) != 0 {
			t.Errorf("%v, %d messages", states, len(r.all()))
		}
		if o := b.get("unsigned"); o.LastError != "the tenant has no webhook secret" {
			t.Errorf("%+v", o)
		}
	})
}

func TestASlowReceiverStopsNobodyElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &outbox{}
		r := &receiver{answer: func(q *http.Request) (*http.Response, error) {
			if strings.HasPrefix(q.URL.Host, "slow") {
				return never(q)
			}
			return status(200), nil
		}}
		for i := range 100 {
			b.owe(fmt.Sprint("slow ", i), "https://slow.example.org/")
		}
		for i := range 10 {
			b.owe(fmt.Sprint("quick ", i), "https://quick.example.org/")
		}
		began := time.Now()
		send(t, b, r, newSecret)
		synctest.Wait()
		if n := b.states()[orchestration.DeliveryDelivered]; n != 10 || !time.Now().Equal(began) {
			t.Errorf("%d are delivered, want the 10 to the quick one", n)
		}
		time.Sleep(timeout)
		synctest.Wait()
		if got := b.get("slow 0"); got.LastError != "no answer within 15s" || got.State != orchestration.DeliveryPending {
			t.Errorf("%+v", got)
		}
		if most := r.mostAtOnce("slow.example.org"); most != maxPerHost {
			t.Errorf("%d at once to one host", most)
		}
	})
}

func TestNoTenantHasAllTries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, r := &outbox{}, &receiver{answer: never}
		for i := range 100 {
			b.owe(fmt.Sprint("msg ", i), fmt.Sprintf("https://%d.example.org/", i))
		}
		b.owe("other", "https://example.com/").Tenant = "other"
		s, err := start(Options{Outbox: b, Secrets: map[string][]string{"acme": {newSecret}, "other": {oldSecret}}}, r)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		synctest.Wait()
		if all, other := r.mostAtOnce(""), r.mostAtOnce("example.com"); all != maxPerTenant+1 || other != 1 {
			t.Errorf("%d at once, %d of the other tenant", all, other)
		}
	})
}

func TestTriesAtOnceInAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, let := &outbox{}, make(chan bool)
		r := &receiver{answer: func(*http.Request) (*http.Response, error) {
			<-let
			return status(200), nil
		}}
		secrets := make(map[string][]string)
		for i := range 100 {
			tenant := fmt.Sprint("tenant ", i%10)
			secrets[tenant] = []string{newSecret}
			b.owe(fmt.Sprint("msg ", i), fmt.Sprintf("https://%d.example.org/", i)).Tenant = tenant
		}
		s, err := start(Options{Outbox: b, Secrets: secrets}, r)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		synctest.Wait()
		close(let)
		began := time.Now()
		synctest.Wait()
		if n, most := b.states()[orchestration.DeliveryDelivered], r.mostAtOnce(""); n != 100 || most != maxTries || !time.Now().Equal(began) {
			t.Errorf("%d delivered, %d at once", n, most)
		}
	})
}

func TestStorageThatFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, r := &outbox{}, &receiver{}
		r.answer = func(*http.Request) (*http.Response, error) {
			b.breakDown(orchestration.ErrUnavailable)
			return status(200), nil
		}
		b.owe("msg", "https://example.org/")
		s := send(t, b, r, newSecret)
		time.Sleep(time.Hour)
		s.Wake()
		synctest.Wait()
		if n := len(r.all()); n != 1 {
			t.Errorf("sent %d times while no try could be noted", n)
		}
		b.breakDown(nil)
		time.Sleep(again)
		synctest.Wait()
		if o := b.get("msg"); o.State != orchestration.DeliveryDelivered || len(r.all()) != 1 {
			t.Errorf("%+v after %d messages", o, len(r.all()))
		}
	})
}

func TestWhatIsDueSoonIsTriedThen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, r := &outbox{}, &receiver{}
		soon, later := time.Now().Add(7*time.Second), time.Now().Add(time.Hour)
		b.owe("soon", "https://example.org/").Next = soon
		b.owe("later", "https://example.org/").Next = later
		send(t, b, r, newSecret)
		time.Sleep(2 * time.Hour)
		got := r.all()
		if len(got) != 2 || !got[0].at.Equal(soon) || !got[1].at.Equal(later) {
			t.Errorf("%+v", got)
		}
	})
}

func TestMoreThanIsLookedAtAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &outbox{}
		for i := range window + 10 {
			b.owe(fmt.Sprint("msg ", i), fmt.Sprintf("https://%d.example.org/", i%100))
		}
		send(t, b, &receiver{}, newSecret)
		time.Sleep(5 * time.Second)
		if n := b.states()[orchestration.DeliveryDelivered]; n != window+10 {
			t.Errorf("%d are delivered", n)
		}
	})
}

func TestNothingIsSentTwiceAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, r := &outbox{}, &receiver{answer: never}
		b.owe("msg", "https://example.org/")
		s := send(t, b, r, newSecret)
		for range 10 {
			time.Sleep(time.Second)
			s.Wake()
		}
		synctest.Wait()
		if n := len(r.all()); n != 1 {
			t.Errorf("sent %d times", n)
		}
	})
}

func TestALookThatFailedIsTakenAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &outbox{fail: orchestration.ErrUnavailable}
		b.owe("msg", "https://example.org/")
		send(t, b, &receiver{}, newSecret)
		synctest.Wait()
		b.breakDown(nil)
		time.Sleep(again)
		synctest.Wait()
		if o := b.get("msg"); o.State != orchestration.DeliveryDelivered {
			t.Errorf("%+v", o)
		}
	})
}

func TestCloseBreaksATryOffAndTheNextProcessMakesIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, r := &outbox{}, &receiver{answer: never}
		b.owe("msg", "https://example.org/")
		s := send(t, b, r, newSecret)
		synctest.Wait()
		began := time.Now()
		s.Close()
		if o := b.get("msg"); o.Tries != 0 || o.State != orchestration.DeliveryPending || !time.Now().Equal(began) {
			t.Errorf("after %v: %+v", time.Since(began), o)
		}
		r.answer = nil
		send(t, b, r, newSecret)
		synctest.Wait()
		if got := r.all(); len(got) != 2 || got[0].header.Get("webhook-id") != got[1].header.Get("webhook-id") || b.get("msg").State != orchestration.DeliveryDelivered {
			t.Errorf("%+v", got)
		}
	})
}

func TestWhatWasDeliveredAsWeStopIsNoted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked, stopped := make(chan bool), make(chan bool)
		b, r := &outbox{}, &receiver{answer: func(*http.Request) (*http.Response, error) {
			close(asked)
			<-stopped
			return status(200), nil
		}}
		b.owe("msg", "https://example.org/")
		s := send(t, b, r, newSecret)
		<-asked
		s.stop()
		close(stopped)
		s.Close()
		if o := b.get("msg"); o.State != orchestration.DeliveryDelivered {
			t.Errorf("%+v", o)
		}
	})
}

func TestABurstOfCommitsIsOneLook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &outbox{}
		s := send(t, b, &receiver{}, newSecret)
		synctest.Wait()
		for range 100 {
			s.Wake()
			synctest.Wait()
		}
		b.owe("msg", "https://example.org/")
		s.Wake()
		time.Sleep(breath)
		synctest.Wait()
		if o := b.get("msg"); o.State != orchestration.DeliveryDelivered || b.looks != 2 {
			t.Errorf("%d looks, %+v", b.looks, o)
		}
	})
}

func TestWhatIsGoneIsForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &outbox{}
		r := &receiver{answer: func(*http.Request) (*http.Response, error) {
			b.forget()
			return status(500), nil
		}}
		b.owe("msg", "https://example.org/")
		send(t, b, r, newSecret)
		time.Sleep(time.Hour)
		synctest.Wait()
		if n := len(r.all()); n != 1 || b.notes != 1 {
			t.Errorf("sent %d times, noted %d times", n, b.notes)
		}
	})
}

func TestNothingIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		core, logs := observer.New(zap.DebugLevel)
		b := &outbox{}
		b.owe("msg", hidden)
		b.owe("bad", "http://user-7:secret-7@example.org/")
		r := &receiver{answer: func(q *http.Request) (*http.Response, error) {
			return nil, fmt.Errorf("post %s: refused with %s", q.URL, q.Header.Get("webhook-signature"))
		}}
		s, err := start(Options{Outbox: b, Secrets: map[string][]string{"acme": {oldSecret}}, Logger: zap.New(core)}, r)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * 24 * time.Hour)
		s.Close()
		if logs.Len() != 11 {
			t.Errorf("%d lines", logs.Len())
		}
		for _, l := range logs.All() {
			if text := fmt.Sprint(l.Message, l.ContextMap()); shows(text) {
				t.Error(text)
			}
		}
		for _, try := range b.tries {
			if shows(try.Error) || strings.Contains(try.Error, "v1,") || try.Error == "" {
				t.Error(try.Error)
			}
		}
	})
}

func TestSecrets(t *testing.T) {
	for secret, want := range map[string]string{
		newSecret:                              "",
		"whsec_" + strings.Repeat("A", 84):     "", // 63 bytes
		"":                                     "whsec_",
		"whsec_":                               "24 to 64 bytes",
		newSecret[6:]:                          "begins with whsec_",
		"whsec_secret-7 secret-7":              "base64",
		newSecret[:20] + "\n" + newSecret[20:]: "base64",
		"whsec_" + strings.Repeat("A", 28):     "24 to 64 bytes",
		"whsec_" + strings.Repeat("A", 88):     "24 to 64 bytes",
	} {
		err := CheckSecret(secret)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%q: %v", secret, err)
		}
		if err == nil {
			continue
		}
		_, made := New(Options{Outbox: &outbox{}, Secrets: map[string][]string{"acme": {newSecret, secret}}})
		if made == nil || made.Error() != "tenant acme: "+err.Error() || shows(made.Error()) {
			t.Errorf("%q: %v", secret, made)
		}
	}
}
