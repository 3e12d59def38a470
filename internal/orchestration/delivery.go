package orchestration

import (
	"strconv"
	"strings"
	"time"
)

// A Delivery is a webhook message that a run owes its caller.
type Delivery struct {
	ID     string // the same at every try: Standard Webhooks' webhook-id
	Tenant string
	Run    string
	Seq    int64 // of the event that it tells of
	Type   string
	Time   time.Time // of the event
	Status Status    // of the run, after the event
	URL    string
}

// A DeliveryState is what has become of a delivery.
type DeliveryState string

// The states of deliveries.
const (
	DeliveryPending   DeliveryState = "pending"   // to be tried, once more or for the first time
	DeliveryDelivered DeliveryState = "delivered" // the receiver has it
	DeliveryDead      DeliveryState = "dead"      // given up
)

// Owed is a delivery and what has become of it.
type Owed struct {
	Delivery
	State      DeliveryState
	Tries      int       // since the event, or since it was asked for again
	Next       time.Time // when a pending one is due: at once, so from the event's time on; otherwise zero
	LastTry    time.Time // zero: none yet
	LastStatus int       // of the HTTP answer to the last try; 0: none came
	LastError  string    // of the last try; "": none
}

// A Try is the outcome of an attempt to deliver.
type Try struct {
	Time   time.Time
	State  DeliveryState // of the delivery, from now on
	Next   time.Time     // when it is due again, if it is pending
	Status int           // of the HTTP answer; 0: none came
	Error  string        // in a few words; "": delivered
}

// A DeliveryFilter selects deliveries for a list, newest first.
type DeliveryFilter struct {
	State  DeliveryState // "": any
	Run    string        // "": any
	Before string        // only deliveries older than the one of this id: where the last page ended
	Limit  int           // at most so many
}

// delivered names the events that a webhook is told of, each with the status
// that it puts the run in.
var delivered = map[string]Status{
	"run.waiting":   StatusWaiting,
	"run.succeeded": StatusSucceeded,
	"run.failed":    StatusFailed,
	"run.canceled":  StatusCanceled,
}

// What the ids of runs and deliveries begin with.
const (
	runMark      = "run_"
	deliveryMark = "msg_"
)

// RunOwing returns the id of the run whose delivery has that id, if it is one.
func RunOwing(delivery string) (run string, ok bool) {
	rest, ok := strings.CutPrefix(delivery, deliveryMark)
	end := strings.LastIndexByte(rest, '_')
	if !ok || end < 0 {
		return "", false
	}
	return runMark + rest[:end], true
}

// Owes returns what those events of the run owe to its webhook. The ids follow
// from run and seq: the same event is the same message, however often it is
// committed or sent.
func (r *Run) Owes(events []Event) []Delivery {
	if r.Spec == nil || r.Spec.Webhook == "" {
		return nil
	}
	var owed []Delivery
	for _, e := range events {
		status, ok := delivered[e.Type()]
		if !ok {
			continue
		}
		owed = append(owed, Delivery{
			ID:     deliveryMark + strings.TrimPrefix(r.ID, runMark) + "_" + strconv.FormatInt(e.Seq, 10),
			Tenant: r.Spec.Tenant, Run: r.ID, Seq: e.Seq, Type: e.Type(), Time: e.Time, Status: status, URL: r.Spec.Webhook,
		})
	}
	return owed
}
