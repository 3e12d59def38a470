package api

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/tutti-run/tutti/internal/orchestration"
)

// GetOutput hands out a subtask's output, whole.
func (s *server) GetOutput(ctx context.Context, request GetOutputRequestObject) (GetOutputResponseObject, error) {
	x := exchangeOf(ctx)
	h, err := s.history(ctx, x.tenant, request.Id)
	if err != nil {
		return nil, err
	}
	subtask := h.run.Subtask(request.Sid)
	if subtask == nil {
		return nil, problem(codeNotFound, "The run has no subtask of that id.")
	}
	if subtask.Status != orchestration.StatusSucceeded {
		return nil, problem(codeNotFound, fmt.Sprintf("The subtask has no output: it is %s.", subtask.Status))
	}
	output, err := s.whole(ctx, h.run.ID, subtask.Output)
	if err != nil {
		return nil, err
	}
	// An id means one content for the whole run, so its output never changes.
	etag := fmt.Sprintf("%q", h.run.ID+"."+subtask.ID)
	return file{server: s, request: x.request, etag: etag, text: output}, nil
}

// A file is an answer of plain text, of which a caller may ask for a part.
type file struct {
	server  *server
	request *http.Request
	etag    string
	text    string
}

// VisitGetOutputResponse writes the text or a part of it.
func (a file) VisitGetOutputResponse(w http.ResponseWriter) error {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("ETag", a.etag)
	http.ServeContent(&rangeWriter{ResponseWriter: w, file: a}, a.asked(), "", time.Time{}, strings.NewReader(a.text))
	return nil
}

// asked returns the request without a range in a unit that is not known, which is to be
// ignored (RFC 9110).
func (a file) asked() *http.Request {
	unit, _, _ := strings.Cut(a.request.Header.Get("Range"), "=")
	if unit == "" || unit == "bytes" {
		return a.request
	}
	r := *a.request
	r.Header = r.Header.Clone()
	r.Header.Del("Range")
	return &r
}

// A rangeWriter answers with a problem where the standard library would answer
// in words or with nothing: for a range that is not there, and for another output
// than is asked for.
type rangeWriter struct {
	http.ResponseWriter
	file    file
	refused bool
}

// Unwrap is for [http.ResponseController].
func (w *rangeWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// WriteHeader passes on every status that refuses nothing.
func (w *rangeWriter) WriteHeader(status int) {
	var detail string
	switch status {
	case http.StatusRequestedRangeNotSatisfiable:
		detail = fmt.Sprintf("The output has %d bytes; there is no such range.", len(w.file.text))
	case http.StatusPreconditionFailed:
		detail = "The output is not the one that If-Match names."
	default:
		w.ResponseWriter.WriteHeader(status)
		return
	}
	w.refused = true
	w.Header().Set("Cache-Control", "no-store") // which the library took away for its own answer
	w.file.server.fail(w.ResponseWriter, w.file.request, problem(codeInvalidRequest, detail).with(status))
}

func (w *rangeWriter) Write(b []byte) (int, error) {
	if w.refused {
		return len(b), nil
	}
	return w.ResponseWriter.Write(b)
}
