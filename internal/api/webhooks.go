package api

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"net/url"
	"time"

	"github.com/tutti-run/tutti/internal/orchestration"
)

// webhook takes the address that the run is to tell of itself. Where its name
// leads is judged when it is told.
func (a *acceptance) webhook(o *Options, spec *orchestration.Spec) {
	const at = "/webhook/url"
	address := a.request.Webhook.Url
	if address == "" {
		return
	}
	if o.Deliveries == nil {
		a.unsupported("/webhook")
		return
	}
	u, err := url.Parse(address)
	switch {
	case err != nil || u.Hostname() == "":
		a.add(codeInvalidRequest, at, "invalid_format", "must be an address with a host")
	case u.User != nil:
		a.add(codeInvalidRequest, at, "invalid_format", "must not hold a user's name: it would lie in the journal")
	case u.Scheme != "https" && (!o.WebhookLoopback || !loopback(u.Hostname())):
		a.add(codeInvalidRequest, at, "invalid_format", "must be an https address")
	}
	if !o.WebhookTenants[spec.Tenant] {
		a.add(codeInvalidRequest, "/webhook", "no_webhook_secret", "the server has no webhook secret of yours to sign messages with")
	}
	spec.Webhook = address
}

func loopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

// ListDeliveries lists what the tenant's runs owe their webhooks, newest first.
func (s *server) ListDeliveries(ctx context.Context, request ListDeliveriesRequestObject) (ListDeliveriesResponseObject, error) {
	if s.Deliveries == nil {
		return nil, notSupported("webhooks are not supported here")
	}
	params := request.Params
	limit := defaultLimit
	override(&limit, params.Limit)
	filter := orchestration.DeliveryFilter{State: params.State, Run: params.Run, Limit: limit + 1} // one more shows that there is more
	if params.Cursor != "" {
		var known bool
		if filter.Before, known = readCursor(params.Cursor, "msg_"); !known {
			return nil, badCursor("not a next_cursor of this list")
		}
	}
	owed, err := s.Deliveries.Deliveries(ctx, exchangeOf(ctx).tenant, filter)
	switch {
	case errors.Is(err, orchestration.ErrNotFound) && filter.Before != "":
		return nil, badCursor("the delivery that the page before ended with is no more")
	case err != nil:
		return nil, err
	}
	page := DeliveryPage{Data: make([]Delivery, 0, len(owed))}
	for _, o := range owed[:min(len(owed), limit)] {
		page.Data = append(page.Data, deliveryOf(o))
	}
	if len(owed) > limit {
		next := cursorAfter(owed[limit-1].ID)
		page.NextCursor = &next
	}
	return ok(page), nil
}

// Redeliver begins a delivery's tries anew.
func (s *server) Redeliver(ctx context.Context, request RedeliverRequestObject) (RedeliverResponseObject, error) {
	if s.Deliveries == nil {
		return nil, notSupported("webhooks are not supported here")
	}
	tenant := exchangeOf(ctx).tenant
	err := s.Deliveries.Redeliver(ctx, tenant, request.Id, time.Now())
	var owed orchestration.Owed
	if err == nil {
		owed, err = s.delivery(ctx, tenant, request.Id)
	}
	switch {
	case errors.Is(err, orchestration.ErrNotFound):
		return nil, problem(codeNotFound, "There is no such delivery.")
	case err != nil:
		return nil, err
	}
	return reply{status: http.StatusAccepted, body: deliveryOf(owed)}, nil
}

// delivery finds one among those of its run, which are few.
func (s *server) delivery(ctx context.Context, tenant, id string) (orchestration.Owed, error) {
	run, _ := orchestration.RunOwing(id)
	filter := orchestration.DeliveryFilter{Run: run, Limit: pageSize}
	for {
		page, err := s.Deliveries.Deliveries(ctx, tenant, filter)
		if err != nil {
			return orchestration.Owed{}, err
		}
		for _, o := range page {
			if o.ID == id {
				return o, nil
			}
		}
		if len(page) < filter.Limit {
			return orchestration.Owed{}, orchestration.ErrNotFound
		}
		filter.Before = page[len(page)-1].ID
	}
}

func deliveryOf(o orchestration.Owed) Delivery {
	d := Delivery{
		Id: o.ID, RunId: o.Run, Seq: o.Seq, Type: o.Type, Time: o.Time.UTC(), Status: o.Status, Url: o.URL, State: o.State, Tries: o.Tries,
	}
	if o.State == orchestration.DeliveryPending {
		d.NextTryAt = moment(o.Next)
	}
	if o.LastStatus != 0 {
		d.LastStatus = &o.LastStatus
	}
	if o.LastError != "" {
		d.LastError = &o.LastError
	}
	return d
}
