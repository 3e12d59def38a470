package api

import (
	"context"
	"crypto/sha256"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/tutti-run/tutti/internal/orchestration"
)

// CreateRun accepts a run, or finds the one that the idempotency key means,
// and shows it in the mode asked for.
func (s *server) CreateRun(ctx context.Context, request CreateRunRequestObject) (CreateRunResponseObject, error) {
	x := exchangeOf(ctx)
	var key *orchestration.Key
	if request.Params.IdempotencyKey != "" {
		key = &orchestration.Key{Key: request.Params.IdempotencyKey, Hash: sha256.Sum256(x.raw)}
		run, hash, err := s.Reader.Key(ctx, x.tenant, key.Key)
		if err == nil {
			return s.replay(ctx, key, run, hash, request.Params)
		}
		if !errors.Is(err, orchestration.ErrNotFound) {
			return nil, err
		}
		if err := s.Driver.Room(x.tenant); err != nil {
			return nil, err
		}
	}
	spec, attachments, err := s.accept(ctx, x, request.Body)
	if err != nil {
		return nil, err
	}
	*request.Body = RunRequest{}
	x.forget()
	spec.Deltas = request.Params.Deltas
	row, err := s.Driver.Start(ctx, spec, attachments, key)
	var taken *orchestration.KeyTaken
	switch {
	case errors.As(err, &taken): // by a request that came at the same time
		return s.replay(ctx, key, taken.Run, taken.Hash, request.Params)
	case err != nil:
		return nil, err
	}
	return s.show(ctx, row, request.Params, http.Header{})
}

// replay shows the run of an earlier request with the same key.
func (s *server) replay(ctx context.Context, key *orchestration.Key, run string, hash [32]byte, params CreateRunParams) (CreateRunResponseObject, error) {
	if hash != key.Hash {
		return nil, keyReused()
	}
	row, err := s.Reader.Row(ctx, exchangeOf(ctx).tenant, run)
	if err != nil {
		return nil, err
	}
	return s.show(ctx, row, params, http.Header{"Idempotency-Replayed": {"true"}})
}

func keyReused() *Problem {
	const detail = "the key was used with another body"
	return problem(codeInvalidRequest, "Idempotency-Key: "+detail+".",
		Fault{Pointer: "header/Idempotency-Key", Code: "key_reused", Detail: detail}).with(http.StatusUnprocessableEntity)
}

// show answers a request for a run in the mode that it asks for: as events, when
// it has ended, or at once.
func (s *server) show(ctx context.Context, row orchestration.Row, params CreateRunParams, header http.Header) (CreateRunResponseObject, error) {
	r := exchangeOf(ctx).request
	if negotiate(r, typeJSON, typeEvents) == typeEvents {
		header.Set("Location", runPath(row.ID)+"/events")
		return stream{server: s, request: r, run: row, deltas: params.Deltas, header: header}, nil
	}
	header.Set("Location", runPath(row.ID))
	status := http.StatusAccepted
	if wait, ok := preferredWait(r); ok {
		header.Set("Preference-Applied", applied(wait))
		var err error
		if row, err = s.await(ctx, row.Tenant, row.ID, wait, settled); err != nil {
			return nil, err
		}
		if settled(row.Status) {
			status = http.StatusOK
		}
	}
	h, err := s.fold(ctx, row)
	if err != nil {
		return nil, err
	}
	return reply{status: status, header: header, body: s.shown(ctx, h)}, nil
}

// shown completes the view of a run with what only the request knows.
func (s *server) shown(ctx context.Context, h *history) *Run {
	v := h.view()
	if v.Error != nil {
		v.Error.RequestId = exchangeOf(ctx).requestID
	}
	return v
}

func applied(wait time.Duration) string { return "wait=" + strconv.Itoa(int(wait/time.Second)) }

// GetRun shows a run, after waiting for it where asked to.
func (s *server) GetRun(ctx context.Context, request GetRunRequestObject) (GetRunResponseObject, error) {
	x := exchangeOf(ctx)
	row, err := s.Reader.Row(ctx, x.tenant, request.Id)
	if err != nil {
		return nil, err
	}
	header := http.Header{}
	wait, asked := time.Duration(request.Params.Wait)*time.Second, x.request.URL.Query().Has("wait")
	if !asked {
		if wait, asked = preferredWait(x.request); asked {
			header.Set("Preference-Applied", applied(wait))
		}
	}
	if asked && !settled(row.Status) {
		if row, err = s.await(ctx, x.tenant, request.Id, wait, settled); err != nil {
			return nil, err
		}
	}
	h, err := s.fold(ctx, row)
	if err != nil {
		return nil, err
	}
	return reply{status: http.StatusOK, header: header, body: s.shown(ctx, h)}, nil
}

func ended(status orchestration.Status) *Problem {
	return problem(codeConflict, "The run has ended already: its status is "+string(status)+".")
}

// CancelRun takes the wish and waits for what becomes of it.
func (s *server) CancelRun(ctx context.Context, request CancelRunRequestObject) (CancelRunResponseObject, error) {
	const defaultWait = 10 * time.Second
	x := exchangeOf(ctx)
	row, err := s.Reader.Row(ctx, x.tenant, request.Id)
	if err != nil {
		return nil, err
	}
	header, unheard := http.Header{}, false
	switch {
	case row.Status == orchestration.StatusCanceled:
	case row.Status.Ended():
		return nil, ended(row.Status)
	default:
		var detail string
		if request.Body != nil {
			detail = request.Body.Detail
		}
		err := s.Driver.Cancel(ctx, row.ID, detail)
		if unheard = errors.Is(err, orchestration.ErrNotFound); err != nil && !unheard {
			return nil, err
		}
		wait, asked := preferredWait(x.request)
		if asked {
			header.Set("Preference-Applied", applied(wait))
		} else {
			wait = defaultWait
		}
		if unheard { // it has ended in the meantime, or does not go on
			wait = 0
		}
		if row, err = s.await(ctx, x.tenant, row.ID, wait, orchestration.Status.Ended); err != nil {
			return nil, err
		}
	}
	h, err := s.fold(ctx, row)
	if err != nil {
		return nil, err
	}
	switch {
	case unheard && h.run.Done() && h.run.Status != orchestration.StatusCanceled:
		return nil, ended(h.run.Status)
	case h.run.Done():
		return reply{status: http.StatusOK, header: header, body: s.shown(ctx, h)}, nil
	case unheard:
		return nil, problem(codeConflict, "Nobody carries the run on, since its last event could not be dealt with: the server tries again when it is started again.")
	}
	header.Set("Location", runPath(row.ID))
	return reply{status: http.StatusAccepted, header: header, body: s.shown(ctx, h)}, nil
}

// DeleteRun removes a run that has ended, or that nobody can read and nobody drives.
func (s *server) DeleteRun(ctx context.Context, request DeleteRunRequestObject) (DeleteRunResponseObject, error) {
	tenant := exchangeOf(ctx).tenant
	row, err := s.Reader.Row(ctx, tenant, request.Id)
	if err != nil {
		return nil, err
	}
	if !row.Status.Ended() && s.Driver.Drives(row.ID) {
		return nil, orchestration.ErrConflict
	}
	if err := s.Reader.Delete(ctx, tenant, row.ID); err != nil {
		return nil, err
	}
	return reply{status: http.StatusNoContent}, nil
}
