package orchestration

import (
	"strconv"
	"strings"
	"time"
)

// An Owed is a delivery in the outbox, and what has become of it.
type Owed struct {
	Delivery
	Tries      int           // made so far
	Next       time.Time     // when it is tried next; of a pending one only
	State      DeliveryState // pending until it is one of the others
	LastStatus int           // HTTP status that the last try was answered with, 0 if with none
	LastError  string        // why the last try failed; empty: it did not
}

// A DeliveryState is what has become of a delivery.
type DeliveryState string

// The states of deliveries.
const (
	DeliveryPending   DeliveryState = "pending"   // to be tried
	DeliveryDelivered DeliveryState = "delivered" // answered with 2xx
	DeliveryDead      DeliveryState = "dead"      // not tried any more, until someone has it delivered again
)

// A Try is what an attempt to deliver led to.
type Try struct {
	State  DeliveryState
	Next   time.Time // the next try, of a pending delivery
	Status int       // HTTP status of the answer, 0 if there was none
	Error  string    // why it failed, in a few words of ours; empty: it did not
}

// A DeliveryFilter selects deliveries for a list, newest first.
type DeliveryFilter struct {
	State  DeliveryState // empty: all
	Run    string        // of this run; empty: of all
	Before string        // only those older than the delivery of this id: where the last page ended
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
