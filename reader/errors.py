"""What can go wrong, as one tree.

ReaderError
├── BadUse              the command was given something it cannot use (exit code 2)
│   └── BadOrigin BadServerKey BadCardFile PortTaken NotInstalled FolderRefused
│       StoreRefused AutostartRefused
├── CardError           no card could be read; .reason is a code of `port.Reason`
│   └── NoService NoReader NoCard CardMute NotHealthCard CardInUse CardTimeout
└── Refused             a request was refused; .status is its HTTP status
    └── BadHost ForeignOrigin MissingHeader NotJson BadRequest BadSignature
        WrongAudience Expired NotYetValid UsedBefore

Every text is Chinese first, English second, and holds no personal data.
"""

from __future__ import annotations


class ReaderError(Exception):
    """Any mistake or lack that this program tells of.

    >>> error = NoCard()
    >>> error.code
    'no-card'
    >>> print(error)
    未插入健保卡或卡片方向錯誤。晶片那一端先入，正反面依讀卡機上的圖示。
        No card is inserted. Insert it chip end first, facing as the reader shows.
    """

    code = "error"
    zh = "發生錯誤"
    en = "Something went wrong."

    def __init__(self, detail: str = "") -> None:
        self.detail = detail
        super().__init__(f"{self.zh}\n    {self.en}{' ' * bool(detail)}{detail}")


class BadUse(ReaderError):
    """What the command was given cannot be used; nothing was changed."""

    code = "bad-use"


class BadOrigin(BadUse):
    code = "bad-origin"
    zh = "網站位址應為 https://主機名稱，後面不加路徑。"
    en = "An origin is https://host or https://host:port, without a path."


class BadServerKey(BadUse):
    code = "bad-server-key"
    zh = "網站金鑰檔應含至少一把 Ed25519 公開金鑰（PEM）。請向承辦單位重新索取。"
    en = "A server key file holds one or more Ed25519 public keys in PEM."


class BadCardFile(BadUse):
    code = "bad-card-file"
    zh = "練習卡檔案無法使用。"
    en = "The practice card file cannot be used."


class PortTaken(BadUse):
    code = "port-taken"
    zh = "監聽埠已被占用。健保卡讀取程式可能已在執行；否則請用 --port 換一個。"
    en = "The port is taken: this program may be running already, or choose --port."


class NotInstalled(BadUse):
    code = "not-installed"
    zh = "缺少需要的套件。請在專案資料夾執行 make reader，或 pip install '.[reader]'。"
    en = "A package is missing: make reader, or pip install '.[reader]' in the project."


class FolderRefused(BadUse):
    code = "folder-refused"
    zh = "無法寫入本程式的資料夾。"
    en = "The folder of this program cannot be written."


class StoreRefused(BadUse):
    code = "store-refused"
    zh = (
        "無法更改瀏覽器信任的憑證。Linux 請安裝 libnss3-tools 後再試，"
        "或在瀏覽器的憑證設定自行匯入（移除時則刪除）ca.pem。"
    )
    en = "The certificates that a browser trusts could not be changed."


class AutostartRefused(BadUse):
    code = "autostart-refused"
    zh = "無法設定自動啟動。"
    en = "Starting at sign-in could not be set up."


class CardError(ReaderError):
    """No card could be read; `code` is the reason code of the status answer."""


class NoService(CardError):
    code = "no-service"
    zh = "電腦的智慧卡服務沒有執行。請接上讀卡機；Linux 請安裝並啟動 pcscd。"
    en = "The smart card service is off. Plug in the reader; on Linux start pcscd."


class NoReader(CardError):
    code = "no-reader"
    zh = "未偵測到讀卡機。請接上讀卡機，並檢視裝置管理員。"
    en = "No card reader was found. Plug it in and look at the device manager."


class NoCard(CardError):
    code = "no-card"
    zh = "未插入健保卡或卡片方向錯誤。晶片那一端先入，正反面依讀卡機上的圖示。"
    en = "No card is inserted. Insert it chip end first, facing as the reader shows."


class CardMute(CardError):
    code = "card-mute"
    zh = "卡片沒有回應。請檢查方向、擦拭晶片後再插入；仍不行時卡片可能毀損。"
    en = (
        "The card does not answer. Check its direction, wipe the chip, insert it again."
    )


class NotHealthCard(CardError):
    code = "not-a-health-card"
    zh = "這不是健保卡，或卡片內容無法辨識。請換插健保卡。"
    en = "This is no health-insurance card, or its record is not readable."


class CardInUse(CardError):
    code = "card-in-use"
    zh = "卡片正被其他程式使用。請關閉其他讀卡程式後再試。"
    en = "Another program holds the card. Close it and try again."


class CardTimeout(CardError):
    code = "timeout"
    zh = "讀卡逾時。請拔出卡片，重新插入後再試。"
    en = "The card took too long. Take it out, insert it and try again."


class Refused(ReaderError):
    """A request was refused before any card was touched."""

    code = "refused"
    status = 403


class BadHost(Refused):
    code = "bad-host"
    status = 421
    zh = "此位址不是本程式。"
    en = "This host name is not served here."


class ForeignOrigin(Refused):
    code = "foreign-origin"
    zh = "此網站未獲准使用讀卡機。"
    en = "This site may not use the card reader."


class MissingHeader(Refused):
    code = "missing-header"
    zh = "缺少必要的標頭。"
    en = "A required header is missing."


class NotJson(Refused):
    code = "not-json"
    zh = "內容應為 JSON。"
    en = "The body must be sent as application/json."


class BadRequest(Refused):
    code = "bad-request"
    status = 400
    zh = "要求的內容無法辨識。"
    en = "The request is not understood."


class BadSignature(Refused):
    code = "bad-signature"
    zh = "此要求不是由已登記的網站簽發。"
    en = "The challenge is not signed by a registered server key."


class WrongAudience(Refused):
    code = "wrong-audience"
    zh = "此要求是發給另一個網站的。"
    en = "The challenge was made for another site."


class Expired(Refused):
    code = "expired"
    status = 409
    zh = "此要求已過期。請再按一次登入；若一再發生，請校正電腦時鐘。"
    en = "The challenge has expired. Try again; if it recurs, set the computer's clock."


class NotYetValid(Refused):
    code = "not-yet-valid"
    status = 409
    zh = "此要求的時間在未來。請校正電腦時鐘後再試。"
    en = "The challenge lies in the future. Set the computer's clock and try again."


class UsedBefore(Refused):
    code = "used-before"
    status = 409
    zh = "此要求已使用過。請再按一次登入。"
    en = "The challenge was used before. Try again."
