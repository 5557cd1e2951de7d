/** An answer of the API before it goes onto the wire. */
export interface Reply {
  readonly status: number;
  /** Written as JSON; a text goes as it is. */
  readonly body: unknown;
  readonly contentType: string;
  readonly headers: Record<string, string>;
}

const JSON_TYPE = 'application/json';
export const HTML_TYPE = 'text/html; charset=UTF-8';

export function json(status: number, body: unknown, headers: Record<string, string> = {}): Reply {
  return { status, body, contentType: JSON_TYPE, headers };
}

export function html(status: number, body: string, headers: Record<string, string> = {}): Reply {
  return { status, body, contentType: HTML_TYPE, headers };
}

/** `{"message":"No Result found for Subscriber with id 1"}`: the usual 404. */
export function notFound(model: string, id: string): Reply {
  return json(404, { message: `No Result found for ${model} with id ${id}` });
}

/** `{"errors":[…]}`: the envelope of validation errors. */
export function errors(status: number, ...list: Record<string, unknown>[]): Reply {
  return json(status, { errors: list });
}

export const MAINTENANCE_PAGE =
  '<div style="text-align:center">We are currently having some issues. Please check back soon.</div>';

export const NOT_FOUND_PAGE =
  '<!DOCTYPE html><html><head><title>Page not found</title></head><body>Page not found</body></html>';
